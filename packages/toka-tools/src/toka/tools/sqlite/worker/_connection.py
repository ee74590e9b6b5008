"""A connection to exactly the file that was checked, with limits on all that it does.

SQLite opens files by their names. The name it is given is free of links, it follows none in the
last part, and afterwards it must hold the very file that the program has checked: if a directory
on the way was swapped meanwhile, no statement runs.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from ._failure import FailureError, file_changed, file_refused, query_failed, too_late
from ._statements import Authorizer

if TYPE_CHECKING:
    from collections.abc import Generator

    from ._question import Question
    from ._time import Deadline

MAX_VALUE_BYTES = 16 << 20
MAX_STATEMENT_BYTES = 1 << 20
MAX_OPEN_FILES = 64

_STEPS = 2_000
_BUSY_SECONDS = 5.0
# Ends a journal that names a super-journal (sqlite.org/fileformat2.html, section 3).
_JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")
_READ_VERSION_AT, _WAL_VERSION = 19, b"\x02"

_LIMITS = {
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
    question: Question, deadline: Deadline
) -> Generator[tuple[sqlite3.Connection, Authorizer]]:
    """Lend a connection to the database of a question.

    Raises:
        FailureError: It is missing, another file by now, no database, or its journal has to be
            played back first.
    """
    with closing(_connect(question, deadline)) as connection:
        yield connection, _confine(connection, question, deadline)


def _connect(question: Question, deadline: Deadline) -> sqlite3.Connection:
    mode = _mode(question, _is_in_wal_mode(question))
    if question.write:
        check_journal(question.path)
    if question.keeps_files:
        from ._keeping import keep_all_files  # noqa: PLC0415 - ctypes is rarely needed

        keep_all_files()
    connection = open_database(question.path, mode, deadline)
    try:
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        _check_file(connection, question)
    except sqlite3.DatabaseError as error:
        connection.close()
        raise _explain(error) from error
    except BaseException:
        connection.close()
        raise
    return connection


def _mode(question: Question, in_wal_mode: bool) -> str:
    if question.write:
        return "mode=rw"
    # A database in WAL mode that nobody has open has neither a log nor a shared memory file, which
    # SQLite would make even to read; the file is all there is, and nobody is writing to it.
    logs = [f"{question.path}-wal", f"{question.path}-journal"]
    alone = in_wal_mode and not any(os.path.lexists(log) for log in logs)
    return "mode=ro&immutable=1" if alone else "mode=ro&readonly_shm=1"


def _is_in_wal_mode(question: Question) -> bool:
    """Look at the header (sqlite.org/fileformat2.html, section 1.3.3).

    The system says in its own words why a file cannot be opened; SQLite says it in one.
    """
    flags = os.O_RDWR if question.write else os.O_RDONLY
    try:
        descriptor = os.open(question.path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise file_refused(error) from error
    try:
        if _identity(descriptor) != question.identity:
            raise file_changed()
        return os.pread(descriptor, 1, _READ_VERSION_AT) == _WAL_VERSION
    finally:
        os.close(descriptor)


def check_journal(path: str) -> None:
    """Refuse a journal that SQLite would play back and then remove a file that it names.

    Whoever may write beside the database could name any file. The sandbox is what keeps SQLite
    from it; this is for the machines that have none, and for a message that says what it is.

    Raises:
        FailureError: There is one.
    """
    try:
        descriptor = os.open(f"{path}-journal", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:  # There is none, or SQLite cannot open it either.
        return
    try:
        size, length = os.fstat(descriptor).st_size, len(_JOURNAL_MAGIC)
        ends = size >= length and os.pread(descriptor, length, size - length) == _JOURNAL_MAGIC
    finally:
        os.close(descriptor)
    if ends:
        raise query_failed(
            "it was left in the middle of a transaction over several files.",
            "Open it with the program that did, which can end it.",
        )


def open_database(path: str, mode: str, deadline: Deadline) -> sqlite3.Connection:
    """Open a database in a mode of SQLite.

    Raises:
        FailureError: SQLite refuses.
    """
    name = "".join([f"%{byte:02x}" for byte in os.fsencode(path)])
    try:
        return sqlite3.connect(
            f"file:{name}?{mode}",
            uri=True,
            timeout=min(_BUSY_SECONDS, max(0.1, deadline.left_seconds)),
            isolation_level=None,
        )
    except sqlite3.Error as error:
        raise _explain(error) from error


def _check_file(connection: sqlite3.Connection, question: Question) -> None:
    """Check that SQLite has opened the file that was checked, and nothing under another name."""
    (_, _, opened), *_ = connection.execute("PRAGMA database_list").fetchall()
    held = [_identity(number) for number in range(MAX_OPEN_FILES)]
    if opened != question.path or question.identity not in held:
        raise file_changed()


def _identity(descriptor: int) -> tuple[int, int] | None:
    """Return device and inode of an open file; None if nothing is open there."""
    try:
        status = os.fstat(descriptor)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _confine(connection: sqlite3.Connection, question: Question, deadline: Deadline) -> Authorizer:
    connection.execute("PRAGMA trusted_schema=OFF")
    connection.execute("PRAGMA cell_size_check=ON")
    connection.execute("PRAGMA mmap_size=0")
    connection.execute(f"PRAGMA query_only={'OFF' if question.write else 'ON'}")
    if question.keeps_files:
        _journal_without_removing(connection)
    for limit, value in _LIMITS.items():
        connection.setlimit(limit, value)
    connection.text_factory = _text

    def is_late() -> bool:
        return deadline.passed

    connection.set_progress_handler(is_late, _STEPS)
    authorizer = Authorizer(question.write)
    connection.set_authorizer(authorizer)
    return authorizer


def _journal_without_removing(connection: sqlite3.Connection) -> None:
    (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    if mode == "delete":
        connection.execute("PRAGMA journal_mode=TRUNCATE")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


@contextmanager
def explained(deadline: Deadline, authorizer: Authorizer) -> Generator[None]:
    """Turn the errors of SQLite into failures.

    Raises:
        FailureError: The statement is wrong, refused, did not succeed, or took too long.
    """
    try:
        yield
    except (sqlite3.Error, sqlite3.Warning, OverflowError) as error:
        if deadline.passed:
            raise too_late() from error
        if authorizer.refused:
            raise query_failed(
                f"the statement uses {authorizer.refused}, which is not allowed here.",
                "To change the database, set `write`." if authorizer.refused_for_reading else "",
                refused=authorizer.refused,
            ) from error
        raise _explain(error) from error
    except UnicodeDecodeError as error:
        raise query_failed(
            "the name of a column is not valid UTF-8.", "Name it with AS."
        ) from error


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


def _explain(error: Exception) -> FailureError:
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    hint = ""
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY")):
        hint = "If another program left its log beside it, open it once with `write`."
    return query_failed(f"{error}.", hint, error=name)
