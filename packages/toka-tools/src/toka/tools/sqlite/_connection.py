"""A connection to exactly the file that was checked, with limits on all that it does.

SQLite opens files by their names. The name it is given is free of links, it follows none in the
last part, and afterwards it must hold the very file that was opened here component by component:
if a directory on the way was swapped meanwhile, no statement runs.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from toka.tools._errors import PathChangedError, QueryError
from toka.tools.files._paths import open_parent, open_regular
from toka.tools.sqlite._statements import Authorizer
from toka.types import NANOSECONDS

if TYPE_CHECKING:
    from collections.abc import Generator

    from toka.tools._deadline import Deadline

MAX_VALUE_BYTES: Final = 16 << 20
MAX_STATEMENT_BYTES: Final = 1 << 20

_STEPS: Final = 2_000
_BUSY_SECONDS: Final = 5.0
_DESCRIPTORS: Final = "/dev/fd"
# Ends a journal that names a super-journal (sqlite.org/fileformat2.html, section 3).
_JOURNAL_MAGIC: Final = bytes.fromhex("d9d505f920a163d7")
_opening = threading.Lock()

_LIMITS: Final = {
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 50,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 200,
    sqlite3.SQLITE_LIMIT_LENGTH: MAX_VALUE_BYTES,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 1_000,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: MAX_STATEMENT_BYTES,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 20,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}


@contextmanager
def connected(
    real: str, deadline: Deadline, *, writes: bool
) -> Generator[tuple[sqlite3.Connection, Authorizer]]:
    """Lend a connection to the database at a real path.

    Raises:
        FileAccessError: It is missing, no regular file, or became a link.
        QueryError: It is no database, or its journal has to be played back first.
    """
    with open_parent(real) as (parent, name):
        descriptor = open_regular(parent, name, real)
    try:
        connection = _connect(real, descriptor, deadline, writes=writes)
    finally:
        os.close(descriptor)
    with closing(connection):
        yield connection, _confine(connection, deadline, writes=writes)


def _connect(real: str, descriptor: int, deadline: Deadline, *, writes: bool) -> sqlite3.Connection:
    # A database in WAL mode that nobody has open has no shared memory file, which a reader may not
    # make; without a log beside it the file is all there is, and nobody is writing to it.
    logs = [f"{real}-wal", f"{real}-journal"]
    alone = not writes and not any(os.path.lexists(log) for log in logs)
    modes = (
        ("mode=rw",) if writes else ("mode=ro", "mode=ro&immutable=1") if alone else ("mode=ro",)
    )
    with _opening:
        if writes:
            _check_journal(real)
        checked = os.fstat(descriptor)
        held = _holding(checked)
        for mode in modes:
            connection = _open(real, mode, deadline)
            try:
                connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
                _check_file(connection, real, checked, held)
            except sqlite3.OperationalError as error:
                connection.close()
                if mode == modes[-1]:
                    raise _explain(error, real) from error
            except sqlite3.DatabaseError as error:
                connection.close()
                raise _explain(error, real) from error
            except BaseException:
                connection.close()
                raise
            else:
                return connection
    raise AssertionError("The last mode returns or raises.")


def _check_journal(real: str) -> None:
    """Refuse a journal that SQLite would play back and then delete a file that it names.

    Whoever may write beside the database could name any file.

    Raises:
        QueryError: There is one.
    """
    try:
        descriptor = os.open(f"{real}-journal", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:  # There is none, or SQLite cannot open it either.
        return
    try:
        size, length = os.fstat(descriptor).st_size, len(_JOURNAL_MAGIC)
        ends = size >= length and os.pread(descriptor, length, size - length) == _JOURNAL_MAGIC
    finally:
        os.close(descriptor)
    if ends:
        raise QueryError(
            f"{real} was left in the middle of a transaction over several files.",
            hint="Open it with the program that did, which can end it.",
            details={"path": real},
        )


def _open(real: str, mode: str, deadline: Deadline) -> sqlite3.Connection:
    try:
        return sqlite3.connect(
            f"file:{quote(real)}?{mode}",
            uri=True,
            timeout=min(_BUSY_SECONDS, max(0.1, deadline.left_ns / NANOSECONDS)),
            isolation_level=None,
            check_same_thread=True,
        )
    except sqlite3.Error as error:
        raise _explain(error, real) from error


def _check_file(
    connection: sqlite3.Connection, real: str, checked: os.stat_result, held: frozenset[int]
) -> None:
    """Check that SQLite has opened the file that was checked, and nothing under another name."""
    (_, _, opened), *_ = connection.execute("PRAGMA database_list").fetchall()
    if opened != real or not _holding(checked) - held:
        raise PathChangedError(
            f"A part of {real} was replaced while it was opened.",
            hint="Nothing was touched.",
            details={"path": real},
        )


def _holding(checked: os.stat_result) -> frozenset[int]:
    """Return the descriptors of this process that are open on a file."""
    numbers = [int(name) for name in os.listdir(_DESCRIPTORS) if name.isdigit()]  # noqa: PTH208 - names are enough
    return frozenset([number for number in numbers if _is_same(number, checked)])


def _is_same(descriptor: int, checked: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), checked)
    except OSError:  # Closed by now, as the listing's own is.
        return False


def _confine(connection: sqlite3.Connection, deadline: Deadline, *, writes: bool) -> Authorizer:
    connection.execute("PRAGMA trusted_schema=OFF")
    connection.execute("PRAGMA cell_size_check=ON")
    connection.execute("PRAGMA mmap_size=0")
    connection.execute(f"PRAGMA query_only={'OFF' if writes else 'ON'}")
    for limit, value in _LIMITS.items():
        connection.setlimit(limit, value)
    connection.text_factory = _text

    def is_late() -> bool:
        return deadline.passed

    connection.set_progress_handler(is_late, _STEPS)
    authorizer = Authorizer(writes)
    connection.set_authorizer(authorizer)
    return authorizer


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


@contextmanager
def explained(real: str, deadline: Deadline, authorizer: Authorizer) -> Generator[None]:
    """Turn the errors of SQLite into those of this distribution.

    Raises:
        QueryError: The statement is wrong, refused, or did not succeed.
        ToolTimeoutError: It took longer than it may.
    """
    try:
        yield
    except (sqlite3.Error, sqlite3.Warning, OverflowError) as error:
        if deadline.passed:
            deadline.check()
        if authorizer.refused:
            raise QueryError(
                f"The statement uses {authorizer.refused}, which is not allowed here.",
                hint="" if authorizer.writes else "To change the database, set `write`.",
                details={"path": real, "refused": authorizer.refused},
            ) from error
        raise _explain(error, real) from error


@contextmanager
def transaction(connection: sqlite3.Connection, authorizer: Authorizer) -> Generator[None]:
    """Make all of it or nothing; a connection that only reads needs none."""
    if not authorizer.writes:
        yield
        return
    _say(connection, authorizer, "BEGIN IMMEDIATE")
    try:
        yield
        _say(connection, authorizer, "COMMIT")
    finally:
        if connection.in_transaction:
            connection.set_progress_handler(None, 0)
            _say(connection, authorizer, "ROLLBACK")


def _say(connection: sqlite3.Connection, authorizer: Authorizer, sql: str) -> None:
    authorizer.own = True
    connection.execute(sql)
    authorizer.own = False


def _explain(error: Exception, real: str) -> QueryError:
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    hint = ""
    if name.startswith("SQLITE_CANTOPEN"):
        hint = "If another program left its log beside it, open it once with `write`."
    return QueryError(f"{real}: {error}.", hint=hint, details={"path": real, "error": name})
