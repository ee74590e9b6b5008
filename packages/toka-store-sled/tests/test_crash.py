from pathlib import Path

from toka.store.core.conformance.crash import CrashConformance


class TestLevelDB(CrashConformance):
    relaxed_options = "&synchronous=normal"
    unstable = ("lock", "LOCK", "LOG", "LOG.old")

    @classmethod
    def address(cls, folder: Path) -> str:
        return f"sled:{folder / 'run'}?engine=leveldb"


class TestRocksDB(CrashConformance):
    relaxed_options = "&synchronous=normal"
    unstable = ("lock", "LOCK", "LOG", "LOG.old")

    @classmethod
    def address(cls, folder: Path) -> str:
        return f"sled:{folder / 'run'}?engine=rocksdb"
