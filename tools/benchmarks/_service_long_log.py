"""A log with very many events, and how long the service takes to show any part of it."""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import TYPE_CHECKING, Any, Final

from msgspec import Raw

from benchmarks import _service_load as service
from toka.auth import Authenticator
from toka.capability.jwt_hs256 import Hs256Key, JwtHs256Issuer, JwtHs256Validator
from toka.orchestration import TokenDesk
from toka.runtime import open_runtime
from toka.store.core import open_store
from toka.types import (
    NANOSECONDS,
    NULL,
    AgentId,
    CompleteTask,
    FinishAgent,
    FinishStep,
    Message,
    ScheduleTask,
    SpawnAgent,
    StartTask,
    StepIntent,
    SystemClock,
    TaskSpec,
    child_agent,
    task_id,
)
from workshop.measure import scratch_for_ever
from workshop.shell import say

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from benchmarks._service_load import Server
    from toka.types import AnyOperation
    from workshop.measure import Subject

ROUNDS: Final = 15
AGENTS: Final = 100
_AROUND: Final = 3
"""Events of a task besides its steps."""
_PATIENCE: Final = 300.0
_BATCH: Final = 500


async def _write(folder: Path, tasks: int, events: int) -> None:
    """Let the kernel decide all of it, in few commits: agents that did so much would take hours."""
    clock, key = SystemClock(), Hs256Key.generate()
    desk = TokenDesk(JwtHs256Issuer(key, clock), clock)
    boss = desk.mint("boss", ("agent:*:**", "task:*:**", "runtime:host:toka"))
    authenticator = Authenticator([JwtHs256Validator([key], clock)], clock)
    folder.joinpath("data").mkdir()
    async with (
        await open_store(f"sqlite:{folder / 'data' / 'log.db'}") as store,
        open_runtime(store, authenticator, boss, clock=clock) as runtime,
    ):

        async def do(operations: Iterable[AnyOperation]) -> None:
            messages = [Message(boss, operation) for operation in operations]
            for first in range(0, len(messages), _BATCH):
                await runtime.submit_all(messages[first : first + _BATCH])

        spawned = await runtime.submit(Message(boss, SpawnAgent(None, "long")))
        run = AgentId(spawned.events[-1].stream)
        names = [f"a{number}" for number in range(AGENTS)]
        await do(SpawnAgent(run, name, ("agent:act:**",)) for name in names)
        for name in names:
            agent = child_agent(run, name)
            await do(_work(agent, tasks // AGENTS, events // tasks))
            await do([FinishAgent(agent, None)])
        await do([FinishAgent(run, None)])


def _work(agent: AgentId, tasks: int, events: int) -> Iterable[AnyOperation]:
    for number in range(tasks):
        task = task_id(agent, number)
        yield ScheduleTask(agent, TaskSpec(f"task {number}"))
        yield StartTask(task, "bench", 60 * NANOSECONDS)
        for ordinal in range(events - _AROUND):
            step = StepIntent(task, 1, "root", ordinal, "no_op", "none", Raw(b"{}"))
            yield FinishStep(step, 1)
        yield CompleteTask(task, 1, NULL)


def _paths(server: Server) -> list[str]:
    """Return what a person would look at."""
    runs: Any = server.get("/v1/runs")
    run = runs["runs"][0]["run"]
    agent = f"{run}/a{AGENTS // 2}"
    log: Any = server.get(f"/v1/log?run={run}&kind=step.&limit=1")
    step = log["events"][0]["id"]
    middle = log["position"] // 2
    tasks: Any = server.get(f"/v1/runs/{run}/tasks?limit=200")
    return [
        "/v1/runs",
        "/v1/runs?state=completed&text=long",
        f"/v1/runs/{run}",
        f"/v1/runs/{run}/graph",
        f"/v1/runs/{run}/tasks",
        f"/v1/runs/{run}/tasks?after={tasks['next'].replace('#', '%23')}",
        f"/v1/runs/{run}/spans",
        f"/v1/runs/{run}/spans?order=newest",
        f"/v1/runs/{run}/spans?after={middle}&limit=500",
        f"/v1/runs/{run}/spans?agent={agent}&limit=500",
        f"/v1/agents/{agent}",
        f"/v1/capabilities/{agent}",
        f"/v1/mailboxes/{agent}",
        f"/v1/steps/{step}",
        f"/v1/explanations/{step}",
        "/v1/log",
        f"/v1/log?order=oldest&after={middle}&limit=500",
        "/v1/log?kind=task.completed.v1",
        f"/v1/log?run={run}&text=nowhere-to-be-found",
        f"/v1/log?agent={agent}&kind=task",
        "/v1/approvals",
        "/v1/health",
        "/status",
        "/metrics",
    ]


async def _medians(server: Server, paths: list[str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for path in paths:
        # Another text each time, so that no answer is one that was kept.
        times: list[float] = []
        for number in range(ROUNDS):
            mark = f"{'&' if '?' in path else '?'}round={number}"
            load = await service.load(server, server.request("GET", path + mark), 1, 0)
            if load.refused:
                raise RuntimeError(f"{path} was refused")
            times += load.latencies
        found[path] = statistics.median(times) * 1_000
    return found


def slowest_median(tasks: int, events: int) -> Subject:
    """Return the subject: the median of the slowest kind of request, in milliseconds."""
    folders: list[Path] = []

    def subject() -> float:
        if not folders:
            folder = scratch_for_ever()
            asyncio.run(_write(folder, tasks, events))
            folders.append(folder)
        with service.served(folders[0]) as server:
            _wait_until_read(server)
            medians = asyncio.run(_medians(server, _paths(server)))
        slowest = max(medians, key=medians.__getitem__)
        say(f"  the slowest is {slowest}")
        return medians[slowest]

    return subject


def _wait_until_read(server: Server) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        health: Any = server.get("/v1/health")
        behind = next(part for part in health["parts"] if part["name"] == "view")["figures"]
        if not behind["behind"]:
            return
        if time.monotonic() > deadline:
            raise TimeoutError("the service is still reading the log")
        time.sleep(0.5)
