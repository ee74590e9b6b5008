"""The event store in a SQLite file."""

from toka.store.sqlite._store import MAX_WAITING, MAX_WAITING_BYTES, SqliteStore

__all__ = ["MAX_WAITING", "MAX_WAITING_BYTES", "SqliteStore"]
