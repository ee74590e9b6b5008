"""The event store in memory."""

from toka.store.memory._store import MAX_BYTES, MAX_EVENTS, MemoryStore

__all__ = ["MAX_BYTES", "MAX_EVENTS", "MemoryStore"]
