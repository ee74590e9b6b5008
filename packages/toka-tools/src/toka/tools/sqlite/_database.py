"""Asking a database through a worker process, which is kept to that database.

A worker may read the database and the logs beside it, and nothing else but the interpreter. One
that writes may also change what is in the database's directory, because SQLite makes and removes
its logs there; if something protected is in it, the worker gives up removing files altogether.
"""

from __future__ import annotations

import json
import os
import signal
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import attrs
import msgspec

from toka.capability.core import Permission, quote_resource
from toka.tools._deadline import timed_out
from toka.tools._errors import PathChangedError, QueryError, ToolError
from toka.tools._own_level import own_level
from toka.tools.files._paths import check_regular, open_parent, system_error
from toka.tools.process._confined import Job, run_job, text_of
from toka.tools.process._programs import DEFAULT_PATH, base_environment
from toka.tools.process._scratch import scratch
from toka.types import NANOSECONDS

if TYPE_CHECKING:
    from toka.tools._context import ToolContext
    from toka.tools.process._process import Finished
    from toka.tools.sandbox._level import SandboxLevel

_PROGRAM: Final = "import sys; sys.path.append(sys.argv[1]); from worker import main; main()"
_HERE: Final = Path(__file__).parent
_LOGS: Final = ("-journal", "-wal", "-shm")
# A worker that notices the end of its time by itself takes back what it did; this is for one that
# does not.
_GRACE_NS: Final = 2 * NANOSECONDS
# Of a value that counts as eight bytes, or of a character, as JSON has them at worst.
_JSON_FACTOR: Final = 6
_MARGIN_BYTES: Final = 1 << 20
_MAX_OPEN_FILES: Final = 64
_MAX_ERROR_NUMBER: Final = 4095

Value = str | int | float | dict[str, str] | None
"""Of a column; bytes are an object with `base64`."""


@attrs.frozen(kw_only=True)
class Question:
    """A statement, and the database it is for."""

    real: str
    """The path without links; that it is granted has been checked."""
    sql: str
    parameters: tuple[str | float | bool | None, ...] | dict[str, str | float | bool | None]
    write: bool
    max_rows: int
    timeout_ns: int


# Whatever a worker says that a database has taken over, it must be an answer or none.
_ErrorNumber = Annotated[int, msgspec.Meta(ge=0, le=_MAX_ERROR_NUMBER)]


@attrs.frozen
class _Failure:
    kind: str
    message: str = ""
    hint: str = ""
    details: dict[str, str | _ErrorNumber] = attrs.field(factory=dict[str, "str | _ErrorNumber"])


@attrs.frozen
class Answer:
    """What the database says."""

    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Value, ...], ...] = ()
    changes: int = 0
    last_row_id: int | None = None
    truncated: bool = False
    failure: _Failure | None = None


async def ask(question: Question, context: ToolContext) -> Answer:
    """Have a statement made.

    Raises:
        FileAccessError: The database is missing, no regular file, or became a link.
        QueryError: It is no database, refuses the statement, or ended the worker.
        SandboxUnavailableError: The policy demands a level that this machine does not prove.
        ToolTimeoutError: It took longer than it may.
    """
    identity = _identity(question.real)
    level = await own_level(context)
    room = context.output_limit_bytes * _JSON_FACTOR + _MARGIN_BYTES
    async with scratch() as home:
        job = _job(question, identity, context, level, home)
        finished = await run_job(job, attrs.evolve(context, output_limit_bytes=room), level)
    answer = _answer(finished, question)
    if answer.failure is not None:
        raise _error(answer.failure, question)
    return answer


def _identity(real: str) -> tuple[int, int]:
    """Return device and inode of the regular file at a real path, without opening it."""
    with open_parent(real) as (parent, name):
        try:
            status = os.stat(name, dir_fd=parent, follow_symlinks=False)
        except OSError as error:
            raise system_error(error, real) from error
    check_regular(status, real)
    return status.st_dev, status.st_ino


def _job(
    question: Question,
    identity: tuple[int, int],
    context: ToolContext,
    level: SandboxLevel,
    home: Path,
) -> Job:
    directory = Path(question.real).parent
    keeps_files = question.write and level.confines and _has_protected(directory, context)
    asked = {
        "path": question.real,
        "identity": identity,
        "sql": question.sql,
        "parameters": question.parameters,
        "write": question.write,
        "keeps_files": keeps_files,
        "max_rows": question.max_rows,
        "max_bytes": context.output_limit_bytes,
        "timeout_ns": question.timeout_ns,
    }
    program = os.path.realpath(sys.executable)
    limits = attrs.evolve(context.limits, max_open_files=_MAX_OPEN_FILES)
    return Job(
        program=program,
        argv=(program, "-I", "-S", "-B", "-X", "utf8", "-c", _PROGRAM, str(_HERE)),
        cwd=str(home),
        environment=base_environment("python3", DEFAULT_PATH, str(home)),
        stdin=json.dumps(asked).encode(),
        # SQLite sorts what is large in files of its own.
        permissions=(Permission.parse(f"fs:*:{quote_resource(str(home))}/**"),),
        scratch=directory if question.write else None,
        readable=(*_interpreter(), _HERE, *_files(question.real)),
        # The database itself may be as long as it likes.
        limits=attrs.evolve(limits, max_file_bytes=None) if question.write else limits,
        timeout_ns=question.timeout_ns + _GRACE_NS,
    )


def _interpreter() -> tuple[Path, ...]:
    return tuple([Path(os.path.realpath(one)) for one in (sys.base_prefix, sys.base_exec_prefix)])


def _files(real: str) -> list[Path]:
    """Return the database, and those of its logs that are files and not links."""
    found = [Path(real)]
    for log in [f"{real}{ending}" for ending in _LOGS]:
        with suppress(OSError):
            if stat.S_ISREG(os.lstat(log).st_mode):
                found.append(Path(log))
    return found


def _has_protected(directory: Path, context: ToolContext) -> bool:
    places = [Path(os.path.realpath(place)) for place in context.workspace.protected]
    return any(place.is_relative_to(directory) for place in places)


def _answer(finished: Finished, question: Question) -> Answer:
    if finished.exit_code != 0:
        raise _ended(finished, question)
    try:
        return msgspec.json.decode(finished.stdout, type=Answer)
    except (msgspec.DecodeError, RecursionError) as error:
        raise _ended(finished, question) from error


def _ended(finished: Finished, question: Question) -> QueryError:
    number = finished.signal
    how = _name_of(number) if number else f"status {finished.exit_code}"
    hint = "Look at the database with another program before it is used again."
    if number == signal.SIGBUS:
        hint = "Somebody cut one of its files short while it was read."
    said = text_of(finished.stderr)[0].strip().rpartition("\n")[2]
    return QueryError(
        f"{question.real}: its process ended with {how} and without an answer.",
        hint=hint,
        details={"path": question.real, "ended_with": how, "said": said[:200]},
    )


def _name_of(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # One of those that POSIX leaves to programs; the kernel sends none of them.
        return f"signal {number}"


def _error(failure: _Failure, question: Question) -> ToolError:
    real = question.real
    if failure.kind == "timeout":
        return timed_out(question.timeout_ns)
    if failure.kind == "changed":
        return PathChangedError(
            f"A part of {real} was replaced while it was opened.",
            hint="Nothing was touched.",
            details={"path": real},
        )
    number = failure.details.get("error")
    if failure.kind == "file" and isinstance(number, int):
        return system_error(OSError(number, os.strerror(number)), real)
    details = {**failure.details, "path": real}
    return QueryError(f"{real}: {failure.message}", hint=failure.hint, details=details)
