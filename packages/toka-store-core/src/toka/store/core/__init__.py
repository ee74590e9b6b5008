"""The event store protocol, its value types, and the conformance tests every backend passes."""
