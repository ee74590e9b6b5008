"""The Toka event store on PostgreSQL."""

from toka.store.postgres._store import PATIENCE, READERS, PostgresStore

__all__ = ["PATIENCE", "READERS", "PostgresStore"]
