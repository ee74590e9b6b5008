"""Toka's own agents, on a log in SQLite with synchronous FULL, as `toka run` has it."""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from itertools import count
from typing import TYPE_CHECKING

from toka.agent_runtime import AgentRuntime, Code, ModelProgram
from toka.auth import Authenticator
from toka.capability.core import Claims
from toka.capability.jwt_hs256 import Hs256Key, JwtHs256Issuer, JwtHs256Validator
from toka.llm_gateway import ToolUse
from toka.llm_gateway.testing import ScriptedModel, reply
from toka.performance import TelemetrySettings, start_telemetry
from toka.runtime import NO_TRACING, open_runtime
from toka.store.core import open_store
from toka.tools import ToolRegistry, tool
from toka.types import (
    NANOSECONDS,
    AgentId,
    Message,
    ScheduleTask,
    SpawnAgent,
    SystemClock,
    TaskSpec,
    task_id,
    ulid,
)
from workshop.measure import scratch

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from toka.agent_runtime import Program, TaskContext
    from toka.llm_gateway import ModelRequest, ModelResponse
    from toka.runtime import Tracing
    from toka.types import Json, TaskId
    from workshop.measure import Subject

MEASURED_TURNS = 5
"""The last turns of a conversation, whose mean is told."""


class Stack:
    """A host with agents and tokens for them."""

    def __init__(self, agents: AgentRuntime, issuer: JwtHs256Issuer, clock: SystemClock) -> None:
        self.agents = agents
        self._issuer = issuer
        self._clock = clock
        self._numbers = count(1)

    def token(self, subject: str, *permissions: str) -> str:
        """Mint a token."""
        seconds = self._clock.now() // NANOSECONDS
        name = ulid(next(self._numbers), bytes(10))
        claims = Claims(subject, "bench", permissions, seconds, seconds + 3_600, name)
        return self._issuer.issue(claims)

    async def task(self) -> tuple[TaskId, str]:
        """Return a task of a new agent, and the agent's token."""
        boss = self.token("boss", "agent:*:**", "task:*:**", "model:*:**")
        runtime = self.agents.runtime
        granted = ("agent:act:**", "model:call:**")
        spawned = await runtime.submit(Message(boss, SpawnAgent(None, "bench", granted)))
        agent = AgentId(spawned.events[-1].stream)
        await runtime.submit(Message(boss, ScheduleTask(agent, TaskSpec("bench"))))
        return task_id(agent, 0), self.token(agent, *granted)

    async def run(self, task: tuple[TaskId, str], program: Program) -> None:
        """Run a task, which must come to a good end."""
        outcome = await self.agents.run_task(task[0], program, task[1])
        assert outcome.completed, outcome.failure  # noqa: S101 - or the figure would lie


@asynccontextmanager
async def stack(
    folder: Path, model: ScriptedModel | None = None, tracing: Tracing = NO_TRACING
) -> AsyncGenerator[Stack, None]:
    """Open everything on a new log in a folder."""
    clock, key = SystemClock(), Hs256Key.generate()
    authenticator = Authenticator([JwtHs256Validator([key], clock)], clock)
    store = await open_store(f"sqlite:{folder / 'log.db'}")
    async with store:
        issuer = JwtHs256Issuer(key, clock)
        seconds = clock.now() // NANOSECONDS
        host = Claims(
            "host", "bench", ("runtime:host:bench",), seconds, seconds + 3_600, ulid(0, bytes(10))
        )
        async with open_runtime(
            store, authenticator, issuer.issue(host), tracing=tracing
        ) as runtime:
            tools = ToolRegistry.of([no_op_tool])
            make = None if model is None else lambda: model
            yield Stack(AgentRuntime(runtime, tools, make), issuer, clock)


async def no_op() -> Json:
    """Do nothing."""
    return None


@tool(side_effect="none", name="no_op", description="Do nothing.", taints=False)
async def no_op_tool() -> None:
    """Do nothing."""


def durable_steps(steps: int, tasks: int = 1) -> Subject:
    """Return the subject: steps a second of no-op steps, in so many tasks at once."""

    async def program(ctx: TaskContext) -> None:
        for _ in range(steps):
            await ctx.step("no_op", no_op)

    async def work(folder: Path) -> float:
        async with stack(folder) as host:
            ready = [await host.task() for _ in range(tasks)]
            began = time.perf_counter()
            await asyncio.gather(*[host.run(task, Code(program)) for task in ready])
            return steps * tasks / (time.perf_counter() - began)

    def subject() -> float:
        with scratch() as folder:
            return asyncio.run(work(folder))

    return subject


def traced_steps(steps: int, *, observed: bool) -> Subject:
    """Return the subject: microseconds of processor time of a no-op step, a span each or none."""

    async def program(ctx: TaskContext) -> None:
        for _ in range(steps):
            await ctx.step("no_op", no_op)

    async def work(folder: Path, tracing: Tracing) -> float:
        async with stack(folder, tracing=tracing) as host:
            task = await host.task()
            began = time.process_time()
            await host.run(task, Code(program))
            return (time.process_time() - began) / steps * 1e6

    def subject() -> float:
        with scratch() as folder:
            if not observed:
                return asyncio.run(work(folder, NO_TRACING))
            running = start_telemetry(TelemetrySettings(service="bench"), everywhere=False)
            try:
                return asyncio.run(work(folder, running.tracing("bench")))
            finally:
                running.stop()

    return subject


def agent_turn(turns: int) -> Subject:
    """Return the subject: milliseconds of a turn, model call and tool call, at the end of many."""
    moments: list[float] = []

    def answer(request: ModelRequest) -> ModelResponse:
        moments.append(time.perf_counter())
        turn = len(request.messages) // 2
        if turn < turns:
            return reply(ToolUse(f"use{turn}", "no_op", {}))
        return reply(ToolUse("end", "finish", {"result": None, "objectives": []}))

    async def work(folder: Path) -> float:
        moments.clear()
        program = ModelProgram("Do nothing, often.", max_turns=turns + 1)
        async with stack(folder, ScriptedModel(answer)) as host:
            await host.run(await host.task(), program)
        return (moments[-1] - moments[-1 - MEASURED_TURNS]) / MEASURED_TURNS * 1_000

    def subject() -> float:
        with scratch() as folder:
            return asyncio.run(work(folder))

    return subject


def stored_bytes(steps: int, result: int = 0) -> int:
    """Return the bytes on disk after so many steps, each with a result of so many characters."""

    async def part() -> Json:
        return "x" * result if result else None

    async def program(ctx: TaskContext) -> None:
        for _ in range(steps):
            await ctx.step("no_op", part)

    async def work(folder: Path) -> None:
        async with stack(folder) as host:
            await host.run(await host.task(), Code(program))

    with scratch() as folder:
        asyncio.run(work(folder))
        return sum(file.stat().st_size for file in folder.iterdir())


def bytes_a_step(steps: int) -> Subject:
    """Return the subject: kilobytes that one more no-op step puts on disk."""

    def subject() -> float:
        return (stored_bytes(2 * steps) - stored_bytes(steps)) / steps / 1_000

    return subject


def megabytes(steps: int, result: int) -> Subject:
    """Return the subject: megabytes on disk of a list that grows by a result with each step."""

    def subject() -> float:
        return stored_bytes(steps, result) / 1_000_000

    return subject


def import_seconds(statement: str) -> Subject:
    """Return the subject: seconds of processor time until a new interpreter has run a statement."""

    def subject() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", statement], check=True)  # noqa: S603 - our own text
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    return subject
