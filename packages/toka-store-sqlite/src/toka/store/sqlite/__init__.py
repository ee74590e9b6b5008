"""The event store in a SQLite file."""

from toka.store.sqlite._store import SqliteStore
from toka.store.sqlite._writings import MAX_WAITING, MAX_WAITING_BYTES

__all__ = ["MAX_WAITING", "MAX_WAITING_BYTES", "SqliteStore"]
