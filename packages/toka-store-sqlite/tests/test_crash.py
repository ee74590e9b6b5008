"""The crash checklist. `test_durability.py` has more of items 3, 4, 6, 7, 9, 11 and 12."""

from pathlib import Path

from toka.store.core.conformance.crash import CrashConformance


class TestSqliteCrashes(CrashConformance):
    relaxed_options = "?synchronous=normal"
    unstable = ("-shm", ".lock")

    @classmethod
    def address(cls, folder: Path) -> str:
        return f"sqlite:{folder / 'run.db'}"
