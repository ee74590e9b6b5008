"""Buckets in a SQLite file, for the processes of one machine.

Each action is one immediate transaction: read, decide, write. Time is the machine's monotonic
clock, which all its processes share and which nobody can set. It starts anew with the machine, so
the file knows at which boot it was written; under a new one, time goes on from the last moment that
was written down. Downtime thus counts as no time at all: nothing is gained by it.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

from toka.rate_limiter._algorithms import read_state, rules_for
from toka.rate_limiter._errors import InvalidLimitError, StorageUnavailable
from toka.rate_limiter._limit import SECOND
from toka.rate_limiter._settle import newcomers, settle, turn_away
from toka.rate_limiter._storage import Action, bucket_digest
from toka.types import NANOSECONDS, SystemClock

if TYPE_CHECKING:
    import os
    from collections.abc import Generator, Sequence

    from toka.rate_limiter._algorithms import Rules, State
    from toka.rate_limiter._decision import LimitStatus
    from toka.rate_limiter._storage import Charge, Storage
    from toka.types import Clock

_APPLICATION: Final = 0x746B726C
_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
_NANOSECONDS: Final = NANOSECONDS // SECOND
_SWEPT: Final = 4
"""Buckets that are whole again and forgotten, at most, for each one that is new."""

_SCHEMA: Final = """
CREATE TABLE bucket (
    digest BLOB PRIMARY KEY, state TEXT NOT NULL, written INTEGER NOT NULL, whole INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX bucket_whole ON bucket (whole);
CREATE TABLE line (boot TEXT NOT NULL, origin INTEGER NOT NULL, keys INTEGER NOT NULL);
INSERT INTO line VALUES ('', 0, 0);
CREATE TRIGGER counted AFTER INSERT ON bucket BEGIN UPDATE line SET keys = keys + 1; END;
CREATE TRIGGER uncounted AFTER DELETE ON bucket BEGIN UPDATE line SET keys = keys - 1; END;
"""


class SqliteStorage:
    """Buckets in a file. Safe to use from several threads and processes."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        clock: Clock | None = None,
        *,
        max_keys: int = 1_000_000,
        wait_seconds: float = 5.0,
        boot: str | None = None,
    ) -> None:
        """Open a file, or make it.

        Args:
            path: The file; beside it SQLite keeps two more.
            clock: Only its monotonic time is used; the machine's own if left out.
            max_keys: Most buckets at a time. When they are that many, none of them whole again,
                new keys are refused.
            wait_seconds: How long to wait for another process that is writing.
            boot: What tells this boot of the machine from others; asked of Linux if left out, and
                elsewhere recognised by the monotonic clock being behind.

        Raises:
            InvalidLimitError: The bound is not positive.
            StorageUnavailable: The file cannot be opened or is no such file.
        """
        if max_keys < 1:
            raise InvalidLimitError("A storage has room for at least one key.")
        self._clock = clock if clock is not None else SystemClock()
        self._max_keys = max_keys
        self._lock = threading.Lock()
        boot = boot if boot is not None else _boot()
        with _failures(path):
            self._connection = sqlite3.connect(
                path, timeout=wait_seconds, isolation_level=None, check_same_thread=False
            )
            try:
                self._offset = self._open(boot)
            except BaseException:
                self._connection.close()
                raise
        self._path = path

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def apply(self, action: Action, charges: Sequence[Charge], cost: int) -> list[LimitStatus]:
        """Apply an action to buckets, atomically, and return the status of each.

        Raises:
            StorageUnavailable: The file failed, or held something else; nothing was changed.
            InvalidHitError: A key holds something that is not text.
        """
        rules = [rules_for(limit) for limit, _ in charges]
        digests = [bucket_digest(limit, key) for limit, key in charges]
        with self._lock, _failures(self._path), self._transaction():
            now = self._now()
            before = [self._read(action, *place) for place in zip(rules, digests, strict=True)]
            after, statuses = settle(action, rules, before, now, cost)
            added = newcomers(before, after)
            if added and not self._make_room(added, now):
                after, statuses = turn_away(before, after, statuses)
            for digest, state, status in zip(digests, after, statuses, strict=True):
                if state is not None:
                    self._write(digest, state, now, now + status.reset_after)
        return statuses

    def _open(self, boot: str) -> int:
        self._connection.execute("PRAGMA journal_mode = WAL")
        # A power cut may take back the last hits: limits need not outlive the machine's failure.
        self._connection.execute("PRAGMA synchronous = NORMAL")
        with self._transaction():
            (application,) = self._connection.execute("PRAGMA application_id").fetchone()
            (tables,) = self._connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            if not tables:
                for statement in _SCHEMA.split(";\n"):
                    self._connection.execute(statement)
                self._connection.execute(f"PRAGMA application_id = {_APPLICATION}")
            elif application != _APPLICATION:
                raise sqlite3.DatabaseError("it is a database of something else")
            return self._align(boot)

    def _align(self, boot: str) -> int:
        """Return what to add to the monotonic clock so that time goes on where it stood."""
        monotonic = self._clock.monotonic() // _NANOSECONDS
        execute = self._connection.execute
        stored, offset = execute("SELECT boot, origin FROM line").fetchone()
        if boot and boot == stored:
            return int(offset)
        last = execute("SELECT coalesce(max(written), 0) FROM bucket").fetchone()[0]
        if boot != stored or monotonic + offset < last:
            offset = last - monotonic
            execute("UPDATE line SET boot = ?, origin = ?", (boot, offset))
        return int(offset)

    def _now(self) -> int:
        return self._clock.monotonic() // _NANOSECONDS + self._offset

    def _read(self, action: Action, rules: Rules, digest: bytes) -> State | None:
        query = "SELECT state FROM bucket WHERE digest = ?"
        row = self._connection.execute(query, (digest,)).fetchone()
        if row is None:
            return None
        # A reset mends what cannot be read.
        return () if action is Action.RESET else read_state(rules, row[0])

    def _write(self, digest: bytes, state: State, now: int, whole: int) -> None:
        if not state:
            self._connection.execute("DELETE FROM bucket WHERE digest = ?", (digest,))
            return
        self._connection.execute(
            "INSERT INTO bucket VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE"
            " SET state = excluded.state, written = excluded.written, whole = excluded.whole",
            (digest, ",".join(map(str, state)), now, whole),
        )

    def _make_room(self, count: int, now: int) -> bool:
        query = (
            "DELETE FROM bucket WHERE digest IN"
            " (SELECT digest FROM bucket WHERE whole <= ? LIMIT ?)"
        )
        self._connection.execute(query, (now, _SWEPT * count))
        (keys,) = self._connection.execute("SELECT keys FROM line").fetchone()
        return int(keys) + count <= self._max_keys

    @contextlib.contextmanager
    def _transaction(self) -> Generator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise


def _boot() -> str:
    try:
        return _BOOT.read_text("ascii").strip()
    except OSError:
        return ""


@contextlib.contextmanager
def _failures(path: str | os.PathLike[str]) -> Generator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StorageUnavailable(
            f"The limits' database {str(path)!r} failed: {error}.",
            hint="Check the file, its directory and the space on the disk.",
        ) from error


if TYPE_CHECKING:
    _implements: type[Storage] = SqliteStorage
