"""A long log in SQLite, made once, and how fast its state is recomputed from the first event."""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from toka.capability.core import Claims
from toka.kernel import EMPTY_STATE, Kernel, KernelState, Rejection
from toka.runtime import UlidSource, replay, to_store
from toka.store.core import open_store
from toka.types import (
    NANOSECONDS,
    AgentId,
    FinishStep,
    ScheduleTask,
    SpawnAgent,
    StartTask,
    StepIntent,
    SystemClock,
    TaskSpec,
    task_id,
    ulid,
)
from workshop.measure import scratch_for_ever

if TYPE_CHECKING:
    from toka.store.core import NewEvent
    from toka.types import AnyOperation
    from workshop.measure import Subject

_BATCH = 10_000
_HOUR = 3_600 * NANOSECONDS


class _Writer:
    """Decides steps of one task, as a host does, and writes them in big appends."""

    def __init__(self) -> None:
        clock = SystemClock()
        seconds = clock.now() // NANOSECONDS
        self._now = clock.now()
        self._claims = Claims(
            "bench", "bench", ("agent:*:**", "task:*:**"), seconds, seconds + 3_600,
            ulid(0, bytes(10)),
        )  # fmt: skip
        self._kernel, self._ids = Kernel(), UlidSource(clock)
        self.state: KernelState = EMPTY_STATE

    def decide(self, operation: AnyOperation) -> list[NewEvent]:
        """Return the events of one operation."""
        decision = self._kernel.decide(self.state, operation, self._claims, self._now, self._ids)
        assert not isinstance(decision, Rejection), decision  # noqa: S101 - or the log would lie
        for event in decision:
            self.state = self._kernel.evolve(self.state, event)
        return [to_store(event) for event in decision]


async def _write(path: Path, events: int) -> None:
    writer = _Writer()
    batch: list[NewEvent] = []
    spawned = writer.decide(SpawnAgent(None, "bench"))
    task = task_id(AgentId(spawned[-1].stream), 0)
    batch += spawned
    batch += writer.decide(ScheduleTask(AgentId(spawned[-1].stream), TaskSpec("bench")))
    batch += writer.decide(StartTask(task, "bench", _HOUR))
    nothing = msgspec.Raw(b"{}")
    async with await open_store(f"sqlite:{path}") as store:
        for number in range(events - len(batch)):
            intent = StepIntent(task, 1, "root", number, "no_op", "none", nothing)
            batch += writer.decide(FinishStep(intent, 0))
            if len(batch) >= _BATCH:
                await store.append(batch)
                batch.clear()
        if batch:
            await store.append(batch)


@cache
def log_of(events: int) -> Path:
    """Return a log of so many events; it is made when first asked for."""
    path = scratch_for_ever() / f"log-{events}.db"
    asyncio.run(_write(path, events))
    return path


async def _replay(path: Path) -> float:
    async with await open_store(f"sqlite:{path}", read_only=True) as store:
        began = time.process_time()
        report = await replay(Kernel(), store)
        return report.events / (time.process_time() - began)


def replayed(events: int) -> Subject:
    """Return the subject: events a second of the processor's time."""
    return lambda: asyncio.run(_replay(log_of(events)))


def megabytes_of_replay(events: int) -> Subject:
    """Return the subject: by how much a process of its own grows while it replays."""

    def subject() -> float:
        code = f"from benchmarks._replay import grown; grown({str(log_of(events))!r})"
        command = [sys.executable, "-c", code]
        folder = Path(__file__).parent.parent
        done = subprocess.run(  # noqa: S603 - our own command
            command, cwd=folder, check=True, capture_output=True, text=True
        )
        return float(done.stdout)

    return subject


def grown(path: str) -> None:
    """Replay a log and print the megabytes that the process has grown by."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    asyncio.run(_replay(Path(path)))
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print((after - before) / 1_024)
