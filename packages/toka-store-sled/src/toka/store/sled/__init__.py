"""The event store on LevelDB, or on RocksDB where LevelDB has no wheel."""

from toka.store.core.backend import MAX_WAITING, MAX_WAITING_BYTES
from toka.store.sled._repair import Range, RepairReport, repair
from toka.store.sled._store import SledStore

__all__ = ["MAX_WAITING", "MAX_WAITING_BYTES", "Range", "RepairReport", "SledStore", "repair"]
