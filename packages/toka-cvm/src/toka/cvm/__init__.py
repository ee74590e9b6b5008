"""A machine for WebAssembly guests whose imports are built from a verified capability token."""
