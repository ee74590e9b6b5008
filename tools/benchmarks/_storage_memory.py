"""Whether a scan of a long log takes more memory the longer the log is.

Counted is what the process has for itself. Files that an engine maps are counted apart: they are
the system's cache, which takes their room back when it is needed.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from toka.store.core import open_store
from toka.store.core.testing import EventSource
from workshop.measure import scratch

if TYPE_CHECKING:
    from collections.abc import Sequence

GROWTH: Final = 8.0
"""MiB that a scan may take for what has nothing to do with its length."""

_GROUP: Final = 1_000
_STREAMS: Final = 1_000
_COUNTED: Final = ("RssAnon", "RssFile")


@dataclass(frozen=True, slots=True)
class Scan:
    """What was seen."""

    events: int
    seconds: float
    early: float
    """MiB at most, when a tenth was read."""
    grown: float
    """MiB more at the end."""
    mapped: float
    """MiB of files that were mapped, at most."""

    def __str__(self) -> str:
        return (
            f"{self.events:,} events read and proved in {self.seconds:,.1f} s;"
            f" {self.early:.1f} MiB at most after a tenth, {self.grown:+.1f} MiB at the end;"
            f" {self.mapped:.1f} MiB of files mapped"
        )


def scan(scheme: str, events: int) -> Scan:
    """Write a log and read it, each in a process of its own."""
    with scratch() as folder:
        url = f"{scheme.partition(':')[0]}:{folder / 'run'}"
        _run("write", url, str(events))
        count, *figures = _run("read", url, str(events)).split()
    return Scan(int(count), *map(float, figures))


def _run(*arguments: str) -> str:
    command = [sys.executable, "-m", "benchmarks._storage_memory", *arguments]
    tools = Path(__file__).parents[1]
    done = subprocess.run(  # noqa: S603 - ourselves
        command, check=True, stdout=subprocess.PIPE, text=True, cwd=tools
    )
    return done.stdout


class _Steps:
    """Tells whoever waits, on standard error, how far it is: 20 times for a log of any length."""

    def __init__(self, doing: str, count: int) -> None:
        self._doing, self._count = doing, count
        self._step = self._next = max(count // 20, 100_000)

    def at(self, number: int) -> None:
        """Note where the work is."""
        if number >= self._next:
            self._next += self._step
            print(f"{self._doing} {number:,} of {self._count:,}", file=sys.stderr, flush=True)


async def _write(url: str, count: int) -> None:
    source, steps = EventSource(), _Steps("written", count)
    async with await open_store(url) as store:
        for start in range(0, count, _GROUP):
            steps.at(start)
            await store.append(
                [
                    source.new(f"run/agent-{number % _STREAMS}", "step.completed.v1", bytes(64))
                    for number in range(start, min(count, start + _GROUP))
                ]
            )


async def _read(url: str, count: int) -> None:
    steps = _Steps("read", count)
    async with await open_store(url, read_only=True) as store:
        began, read, early, most, mapped = time.perf_counter(), 0, 0.0, 0.0, 0.0
        async for _ in store.read():
            read += 1
            if read % _GROUP == 0:
                own, files = _memory()
                most, mapped = max(most, own), max(mapped, files)
                if read <= count // 10:
                    early = most
                steps.at(read)
        took = time.perf_counter() - began
    print(read, took, early, most - early, mapped)


def _memory() -> tuple[float, float]:
    """Return the MiB that this process has for itself, and those of files that it has mapped."""
    status = Path("/proc/self/status").read_text("ascii")
    own, files = (int(status.partition(f"{each}:")[2].split()[0]) for each in _COUNTED)
    return own / 1024, files / 1024


def main(arguments: Sequence[str]) -> None:
    """Write or read, in a process of its own."""
    what, url, count = arguments
    asyncio.run({"write": _write, "read": _read}[what](url, int(count)))


if __name__ == "__main__":
    main(sys.argv[1:])
