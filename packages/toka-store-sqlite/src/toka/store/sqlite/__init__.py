"""The event store in a SQLite file."""

from toka.store.core.backend import MAX_WAITING, MAX_WAITING_BYTES
from toka.store.sqlite._store import SqliteStore

__all__ = ["MAX_WAITING", "MAX_WAITING_BYTES", "SqliteStore"]
