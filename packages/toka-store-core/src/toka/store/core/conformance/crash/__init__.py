"""The crash checklist: what a durable event store survives, in 22 items.

A backend's own tests subclass `CrashConformance` and say how a store is addressed::

    class TestCrash(CrashConformance):
        relaxed_options = "?synchronous=normal"  # a mode that must lose something, if any
        unstable = ("-shm", ".lock")  # files that opening may make or change

        @classmethod
        def address(cls, folder: Path) -> str:
            return f"sqlite:{folder / 'run.db'}"

Every test carries its item's number. Each runs 200 rounds, or as many as the environment variable
`TOKA_CRASH_ROUNDS` says, of runs that differ with `TOKA_CRASH_SEED`. The extras `conformance` and
`testing` must be installed, and FUSE.

A store is run once on a `LossyDisk`, and then opened from the states in which a power cut, or the
death of the process, could have left the disk. In each of them, all that was acknowledged must be
there and nothing by half; where bytes were changed at rest, the store has to say so, or it has to
give every right answer in spite of it.
"""

from toka.store.core.conformance.crash._suite import CrashConformance

__all__ = ["CrashConformance"]
