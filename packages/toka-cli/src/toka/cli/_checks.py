"""The single checks of `toka doctor`, in the order in which they make sense to a reader."""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
from importlib.metadata import distributions
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import attrs

from toka.cli._lock import holder_of
from toka.cli._service_file import find_service
from toka.cli._show import count, moment
from toka.types import TokaError

if TYPE_CHECKING:
    from pathlib import Path

    from toka.cli._data_directory import DataDirectory
    from toka.store.core import EventStore

LOW_SPACE: Final = 100 * 1024 * 1024
"""Below it a log may soon be unable to grow."""
_SHOWN: Final = 5

State: TypeAlias = Literal["ok", "note", "fault"]


@attrs.frozen
class Finding:
    """What a check found."""

    check: str
    state: State
    text: str
    remedy: str = ""
    """What to do; every fault has one."""


async def examine(data: DataDirectory) -> list[Finding]:
    """Look at everything; a check that cannot be made is a finding too."""
    findings = [_versions(), *_directory(data)]
    if data.path.is_dir():
        findings += [_key(data), _space(data.path), _service(data), _writer(data)]
        findings += await _log(data)
    return findings


def _versions() -> Finding:
    installed = {
        each.name: each.version for each in distributions() if each.name.startswith("toka-")
    }
    found = sorted(set(installed.values()))
    text = f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    if len(found) > 1:
        odd = ", ".join(f"{name} {number}" for name, number in sorted(installed.items()))
        return Finding(
            "versions",
            "fault",
            f"{text}, and distributions of different versions: {odd}",
            "Install all of them in one version.",
        )
    return Finding("versions", "ok", f"Toka {found[0]}, {text}")


def _directory(data: DataDirectory) -> list[Finding]:
    path = data.path
    if not path.exists():
        return [Finding("directory", "note", f"{path} is not there: nothing was ever run.")]
    if not path.is_dir():
        return [
            Finding("directory", "fault", f"{path} is no directory.", "Name one with --data-dir.")
        ]
    if not os.access(path, os.W_OK | os.X_OK):
        remedy = f"Make it writable for {_user()}; until then it can only be read."
        return [Finding("directory", "fault", f"{path} cannot be written to.", remedy)]
    return [Finding("directory", "ok", f"{path} can be read and written.")]


def _user() -> str:
    return f"user {os.geteuid()}"


def _key(data: DataDirectory) -> Finding:
    from toka.auth import KeyFile, KeyFileError, KeyFileMissing  # noqa: PLC0415 - not for --help

    try:
        key = KeyFile.load(data.key)
    except KeyFileMissing:
        return Finding("key", "note", "There is none; the first command that needs one makes it.")
    except KeyFileError as error:
        return Finding("key", "fault", error.message, error.hint)
    return Finding("key", "ok", f"{data.key} is its owner's alone (key {key.kid[:12]}).")


def _space(path: Path) -> Finding:
    free = shutil.disk_usage(path).free
    text = f"{free / 2**30:,.1f} GiB free"
    if free < LOW_SPACE:
        return Finding("disk", "fault", text, "Free some: a full disk stops every run.")
    return Finding("disk", "ok", text)


def _service(data: DataDirectory) -> Finding:
    found = find_service(data.service)
    if found is not None:
        return Finding("service", "ok", f"Process {found.pid} answers at {found.url}.")
    if data.service.exists():
        text = "serve.json was left by a process that is gone."
        return Finding("service", "note", text, "The next `toka serve` replaces it.")
    return Finding("service", "note", "None runs.")


def _writer(data: DataDirectory) -> Finding:
    holder = holder_of(data.log)
    if holder is None:
        return Finding("writer", "ok", "Nobody has the log open for writing.")
    since = f" since {moment(holder.since)}" if holder.since is not None else ""
    who = "A process" if holder.pid is None else f"Process {holder.pid}"
    return Finding("writer", "note", f"{who} has the log open for writing{since}.")


async def _log(data: DataDirectory) -> list[Finding]:
    if not data.log.exists():
        return [Finding("log", "note", "There is none: nothing was ever run.")]
    try:
        async with data.open_log(read_only=True) as store:
            return await _chain(store)
    except TokaError as error:
        return [Finding("log", "fault", error.message, _remedy(error))]


async def _chain(store: EventStore) -> list[Finding]:
    """Check every byte of the log, and then what it amounts to."""
    from toka.kernel import Kernel  # noqa: PLC0415 - not for --help
    from toka.runtime import replay  # noqa: PLC0415

    report = await store.verify()
    if not report.ok:
        shown = [
            Finding("log", "fault", _at(problem.position, problem.what), _RESTORE)
            for problem in report.problems[:_SHOWN]
        ]
        more = report.problem_count - len(shown)
        if more:
            shown.append(Finding("log", "fault", f"and {count(more, 'more problem')}", _RESTORE))
        return shown
    replayed = await replay(Kernel(), store, verify=True)
    unfinished = len(replayed.state.families)
    findings = [
        Finding("log", "ok", f"{count(replayed.events, 'event')}, every link of the chain holds.")
    ]
    if unfinished:
        text = f"{count(unfinished, 'run')} not ended."
        findings.append(
            Finding("runs", "note", text, "`toka serve`, or the same `toka run`, goes on.")
        )
    return findings


_RESTORE: Final = (
    "Keep the files as they are. Copy a backup over them, or begin in another --data-dir; events"
    " before the damage can still be read with `toka events`."
)


def _at(position: int | None, what: str) -> str:
    return what if position is None else f"Event {position}: {what}"


def _remedy(error: TokaError) -> str:
    return _RESTORE if error.code == "store.damaged" else error.hint or "See the message."
