"""A log with very many events, and how long the service takes to show any part of it.

What is looked at is every kind of request that pages make, every page, and what a person sees in a
browser: each page's first paint in Chromium.
"""

from __future__ import annotations

import asyncio
import shutil
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
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from benchmarks._service_load import Server
    from toka.types import AnyOperation

ROUNDS: Final = 15
AGENTS: Final = 67
BUSIEST: Final = 0.34
"""The share of all tasks that the first agent has."""
_AROUND: Final = 3
"""Events of a task besides its steps."""
_PATIENCE: Final = 300.0
_BATCH: Final = 4_000
PAINTS: Final = 5
_TOLD: Final = 5
"""How many of the slowest are told of."""


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
        busiest = int(tasks * BUSIEST)
        for name in names:
            agent = child_agent(run, name)
            many = busiest if name == names[0] else (tasks - busiest) // (AGENTS - 1)
            await do(_work(agent, many, events // tasks))
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
        f"/v1/runs/{run}/spans?task={_late_task(run, server)}&limit=60",
        "/v1/runs",
        "/v1/runs?state=completed&text=long",
        f"/v1/runs/{run}",
        f"/v1/runs/{run}/graph",
        f"/v1/runs/{run}/tasks",
        f"/v1/runs/{run}/tasks?after={_quoted(tasks['next'])}",
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


def _late_task(run: str, server: Server) -> str:
    """Return a task near the end of the agent that has most, as it stands in an address."""
    agent: Any = server.get(f"/v1/agents/{run}/a0")
    return _quoted(agent["tasks"][-10]["task"])


def _quoted(task: str) -> str:
    return task.replace("#", "%23")


def _pages(server: Server) -> list[str]:
    """Return every page of the dashboard that shows something of the log."""
    runs: Any = server.get("/v1/runs")
    run = runs["runs"][0]["run"]
    agent = f"{run}/a0"
    log: Any = server.get(f"/v1/log?run={run}&kind=step.&limit=1")
    task = _late_task(run, server)
    return [
        "/ui/runs",
        f"/ui/runs/{run}",
        f"/ui/runs/{run}?task={task}",
        f"/ui/agents/{agent}",
        f"/ui/steps/{log['events'][0]['id']}",
        "/ui/events",
        "/ui/events?text=nowhere-to-be-found",
        "/ui/approvals",
        "/ui/health",
    ]


async def _medians(server: Server, paths: list[str], **headers: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for path in paths:
        # Another text each time, so that no answer is one that was kept.
        times: list[float] = []
        for number in range(ROUNDS):
            mark = f"{'&' if '?' in path else '?'}round={number}"
            asked = server.request("GET", path + mark, **headers)
            load = await service.load(server, asked, 1, 0)
            if load.refused:
                raise RuntimeError(f"{path} was refused")
            times += load.latencies
        found[path] = statistics.median(times) * 1_000
    return found


def _paints(server: Server, paths: list[str]) -> dict[str, float]:
    """Return when Chromium first paints something of each page, after it was asked for."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - only who measures pages

    browser_path = shutil.which("chromium") or shutil.which("google-chrome")
    url, found = f"http://127.0.0.1:{server.port}", dict[str, float]()
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        context = browser.new_context()
        name, token = server.session
        context.add_cookies([{"name": name, "value": token, "url": url}])
        page = context.new_page()
        page.goto(f"{url}/ui/health")
        for path in paths:
            times: list[float] = []
            for _ in range(PAINTS):
                page.goto(url + path, wait_until="load")
                times.append(page.evaluate(_PAINTED))
            found[path] = statistics.median(times)
        browser.close()
    return found


_PAINTED: Final = """() => new Promise(done => new PerformanceObserver((list, seen) => {
    seen.disconnect();
    done(list.getEntries()[0].startTime);
}).observe({type: "paint", buffered: true}))"""


class LongLog:
    """A log that is written once, and looked at in several ways."""

    def __init__(self, tasks: int, events: int) -> None:
        self._size = (tasks, events)
        self._folder: Path | None = None

    def requests(self) -> float:
        """Return the median of the slowest kind of request, in milliseconds."""
        return self._slowest(lambda server: asyncio.run(_medians(server, _paths(server))))

    def pages(self) -> float:
        """Return the median of the slowest page, in milliseconds."""

        def look(server: Server) -> dict[str, float]:
            name, token = server.session
            return asyncio.run(_medians(server, _pages(server), Cookie=f"{name}={token}"))

        return self._slowest(look)

    def paints(self) -> float:
        """Return the slowest page's first paint in Chromium, in milliseconds, as a median."""
        return self._slowest(lambda server: _paints(server, _pages(server)))

    def _slowest(self, look: Callable[[Server], dict[str, float]]) -> float:
        if self._folder is None:
            self._folder = scratch_for_ever()
            asyncio.run(_write(self._folder, *self._size))
        with service.served(self._folder) as server:
            _wait_until_read(server)
            found = look(server)
        for path in sorted(found, key=found.__getitem__, reverse=True)[:_TOLD]:
            say(f"  {found[path]:6.0f} ms  {path}")
        return max(found.values())


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
