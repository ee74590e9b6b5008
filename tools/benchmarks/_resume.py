"""A run that is killed, and how soon it goes on by itself under a service that is started anew."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from toka.store.core import Query, open_store
from workshop.measure import scratch

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from workshop.measure import Subject

_CODE = """\
import asyncio


async def pause():
    await asyncio.sleep(0.02)


async def work(ctx):
    for number in range(3_000):
        await ctx.step(f"step-{number}", pause)
"""
_SPEC = """\
metadata: {name: slow}
tasks: {default: [{id: work, description: do steps that take a while, entry: "slow:work"}]}
"""
_DEADLINE = 30.0


@contextmanager
def _toka(folder: Path, *arguments: str) -> Generator[None]:
    command = [sys.executable, "-m", "toka.cli", *arguments, "--data-dir", str(folder / "data")]
    process = subprocess.Popen(  # noqa: S603 - our own command
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.kill()
        process.wait()


async def _newest_step(folder: Path) -> tuple[int, int]:
    """Return the position and the time of the log's newest step; zeros if there is none."""
    path = folder / "data" / "log.db"
    if not path.exists():
        return 0, 0
    async with await open_store(f"sqlite:{path}", read_only=True) as store:
        newest = await store.read_page(0, 1, where=Query(kinds=("step.",)), backward=True)
        return (newest[0].position, newest[0].time) if newest else (0, 0)


async def _wait_for_step(folder: Path, after: int) -> tuple[int, int]:
    deadline = time.monotonic() + _DEADLINE
    while time.monotonic() < deadline:
        found = await _newest_step(folder)
        if found[0] > after:
            return found
        await asyncio.sleep(0.005)
    raise TimeoutError(f"no step after position {after} in {_DEADLINE:g} s")


async def _seconds(folder: Path) -> float:
    (folder / "slow").mkdir()
    (folder / "slow" / "slow.py").write_text(_CODE)
    (folder / "slow" / "slow.yaml").write_text(_SPEC)
    with _toka(folder, "run", "slow", "--output", "plain"):
        await asyncio.sleep(1)
        await _wait_for_step(folder, 0)
    position, _ = await _newest_step(folder)
    began = time.time_ns()
    with _toka(folder, "serve", "--port", "0"):
        _, moment = await _wait_for_step(folder, position)
    return (moment - began) / 1e9


def goes_on_after() -> Subject:
    """Return the subject: seconds from the start of the process to the killed run's next step."""

    def subject() -> float:
        with scratch() as folder:
            return asyncio.run(_seconds(folder))

    return subject
