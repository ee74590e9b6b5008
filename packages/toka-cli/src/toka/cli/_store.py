"""`toka store`: a log as a thing to keep: checked, copied, backed up, made smaller, repaired."""

from __future__ import annotations

import json
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

import anyio
import attrs
import click

from toka.cli._counter import event_counter
from toka.cli._data_directory import DataDirectory
from toka.cli._exits import Exit
from toka.cli._options import data_dir_option, json_option
from toka.cli._show import count

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path

    from toka.store.core import EventStore, Head
    from toka.types import Json

F = TypeVar("F", bound="Callable[..., object]")


def _which(function: F) -> F:
    """Add `--data-dir` and `--store`."""
    function = click.option(
        "--store", "url", help="A store's address, as sqlite:run.db; by default the log of a run."
    )(function)
    return data_dir_option(function)


@asynccontextmanager
async def _open(data_dir: Path, url: str | None, *, read_only: bool) -> AsyncGenerator[EventStore]:
    from toka.store.core import open_store  # noqa: PLC0415 - not for --help

    if url is None:
        async with DataDirectory(data_dir).open_log(read_only=read_only) as store:
            yield store
        return
    async with await open_store(url, read_only=read_only, create=False) as store:
        yield store


def _print(text: str, facts: dict[str, Json], *, as_json: bool) -> None:
    click.echo(json.dumps(facts) if as_json else text)


def _facts(head: Head) -> dict[str, Json]:
    return {"position": head.position, "digest": head.digest.hex()}


@click.group("store")
def command() -> None:
    """Verify, copy, back up, compact and repair logs of events."""


@command.command(
    "verify",
    epilog="\b\nExamples:\n  toka store verify\n  toka store verify --store sqlite:backup.db --json"
    "\n\nExit status 0 if every byte is as it was written, 1 if not.",
)
@_which
@json_option
def verify(*, data_dir: Path, url: str | None, as_json: bool) -> int:
    """Check every digest, every link of the chain and every index, beside whoever writes."""
    return anyio.run(_verify, data_dir, url, as_json)


async def _verify(data_dir: Path, url: str | None, as_json: bool) -> int:
    began = time.monotonic()
    async with _open(data_dir, url, read_only=True) as store:
        report = await store.verify(event_counter("verifying", as_json=as_json))
    rate = report.events / max(time.monotonic() - began, 1e-9)
    problems = [attrs.asdict(each) for each in report.problems]
    facts: dict[str, Json] = {
        "location": report.location,
        "events": report.events,
        "head": _facts(report.head),
        "ok": report.ok,
        "problem_count": report.problem_count,
        "problems": problems,
    }
    lines = [f"{count(report.events, 'event')} of {report.location} verified ({rate:,.0f}/s)"]
    lines.append(f"head {report.head.position:,} {report.head.digest.hex()}")
    for problem in report.problems:
        where = "" if problem.position is None else f"position {problem.position}: "
        lines.append(f"✗ {where}{problem.what}")
    if report.ok:
        lines.append("every byte is as it was written")
    else:
        lines.append(f"{count(report.problem_count, 'problem')} found; nothing was changed")
    _print("\n".join(lines), facts, as_json=as_json)
    return Exit.MET if report.ok else Exit.NOT_MET


@command.command(
    "stats", epilog="\b\nExamples:\n  toka store stats\n  toka store stats --store sqlite:run.db"
)
@_which
@json_option
def stats(*, data_dir: Path, url: str | None, as_json: bool) -> int:
    """Show how much a log holds, and what of it could be given back."""
    return anyio.run(_stats, data_dir, url, as_json)


async def _stats(data_dir: Path, url: str | None, as_json: bool) -> int:
    async with _open(data_dir, url, read_only=True) as store:
        found, head = await store.stats(), await store.head()
    facts: dict[str, Json] = {
        "location": found.location,
        "events": found.events,
        "head": _facts(head),
        "stored_bytes": found.stored_bytes,
        "free_bytes": found.free_bytes,
        "unmerged_bytes": found.unmerged_bytes,
        "shared_payloads": found.shared_payloads,
        "compacted": found.compacted,
    }
    text = (
        f"{count(found.events, 'event')} in {found.location}\n"
        f"{found.stored_bytes:,} bytes stored, {found.free_bytes:,} of them free and"
        f" {found.unmerged_bytes:,} not yet merged\n"
        f"{count(found.shared_payloads, 'shared payload')};"
        f" payloads dropped up to position {found.compacted:,}\n"
        f"head {head.position:,} {head.digest.hex()}"
    )
    _print(text, facts, as_json=as_json)
    return Exit.MET


@command.command(
    "copy",
    epilog="\b\nExamples:\n  toka store copy sqlite:.toka/log.db sled:log"
    "\n  toka store copy sled:log sqlite:again.db --json"
    "\n\nInterrupted, the same command goes on. Snapshots stay behind; they are made again.",
)
@click.argument("source")
@click.argument("target")
@json_option
def copy(*, source: str, target: str, as_json: bool) -> int:
    """Copy the log at SOURCE to TARGET, of any backend, and prove that they are equal.

    TARGET is empty, is made, or holds the first events of the same log.
    """
    return anyio.run(_copy, source, target, as_json)


async def _copy(source_url: str, target_url: str, as_json: bool) -> int:
    from toka.store.core import copy as copy_log  # noqa: PLC0415 - not for --help
    from toka.store.core import open_store  # noqa: PLC0415

    async with (
        await open_store(source_url, read_only=True, create=False) as source,
        await open_store(target_url) as target,
    ):
        counter = event_counter("copying", as_json=as_json)
        report = await copy_log(source, target, progress=counter)
    facts: dict[str, Json] = {
        "source": source_url,
        "target": target_url,
        "copied": report.copied,
        "head": _facts(report.head),
    }
    text = (
        f"{count(report.copied, 'event')} copied to {target_url}; both logs have the head\n"
        f"{report.head.position:,} {report.head.digest.hex()}"
    )
    _print(text, facts, as_json=as_json)
    return Exit.MET


@command.command(
    "backup",
    epilog="\b\nExamples:\n  toka store backup backup.db"
    "\n  toka store backup friday --store sled:log",
)
@click.argument("path")
@_which
@json_option
def backup(*, path: str, data_dir: Path, url: str | None, as_json: bool) -> int:
    """Write a copy of a log to PATH, of the same backend, also while it is written to."""
    return anyio.run(_backup, path, data_dir, url, as_json)


async def _backup(path: str, data_dir: Path, url: str | None, as_json: bool) -> int:
    async with _open(data_dir, url, read_only=True) as store:
        head = await store.backup(path)
        scheme = store.location.partition(":")[0]
    facts: dict[str, Json] = {"location": f"{scheme}:{path}", "head": _facts(head)}
    text = f"{count(head.position, 'event')} backed up to {scheme}:{path}\nhead {head.digest.hex()}"
    _print(text, facts, as_json=as_json)
    return Exit.MET


@command.command(
    "compact",
    epilog="\b\nExamples:\n  toka store compact --snapshot kernel"
    "\n  toka store compact --snapshot report --store sqlite:run.db",
)
@click.option(
    "--snapshot", "name", required=True, help="Drop the payloads that all snapshots so named cover."
)
@_which
@json_option
def compact(*, name: str, data_dir: Path, url: str | None, as_json: bool) -> int:
    """Drop the payloads of events that a snapshot covers. Headers and their chain stay.

    It cannot be undone: such events can be proved and are no longer read. Back up first.
    """
    return anyio.run(_compact, name, data_dir, url, as_json)


async def _compact(name: str, data_dir: Path, url: str | None, as_json: bool) -> int:
    async with _open(data_dir, url, read_only=False) as store:
        done = await store.compact(name)
    facts: dict[str, Json] = {
        "position": done.position,
        "digest": done.digest.hex(),
        "events": done.events,
        "dropped_bytes": done.dropped_bytes,
    }
    text = (
        f"{count(done.events, 'payload')} of {done.dropped_bytes:,} bytes dropped, up to position"
        f" {done.position:,}\nproof {done.digest.hex()}"
    )
    _print(text, facts, as_json=as_json)
    return Exit.MET


@command.command(
    "repair",
    epilog="\b\nExamples:\n  toka store repair sled:log"
    "\n\nExit status 0 if every event is there afterwards, 1 if some are lost.",
)
@click.argument("url")
@json_option
def repair(*, url: str, as_json: bool) -> int:
    """Replace the damaged store at URL by what can be proved of it, and say what is lost.

    The damaged one is kept beside it, untouched.
    """
    from toka.store.core import repair_store  # noqa: PLC0415 - not for --help

    report = repair_store(url)
    facts: dict[str, Json] = {
        "kept": report.kept,
        "head": _facts(report.head),
        "lost": [list(each) for each in report.lost],
    }
    lines = [f"{count(report.head.position, 'event')} repaired; the damaged store is {report.kept}"]
    lines += [f"✗ lost: the events {first} to {last}" for first, last in report.lost]
    _print("\n".join(lines), facts, as_json=as_json)
    return Exit.NOT_MET if report.lost else Exit.MET
