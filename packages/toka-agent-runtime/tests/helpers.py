"""A host on a log in memory, with real tokens, a power switch, and a clock that tests turn."""

from __future__ import annotations

import heapq
from contextlib import asynccontextmanager
from itertools import count
from typing import TYPE_CHECKING, Literal, cast

import anyio
import anyio.lowlevel
import attrs

from toka.agent_runtime import DEFAULT_OPTIONS, AgentRuntime, TaskOptions, TaskOutcome
from toka.auth import Authenticator
from toka.capability.core import Claims
from toka.capability.jwt_hs256 import Hs256Key, JwtHs256Issuer, JwtHs256Validator
from toka.kernel import decode_body
from toka.runtime import open_runtime
from toka.store.memory import MemoryStore
from toka.tools import ToolRegistry, Workspace
from toka.types import (
    NANOSECONDS,
    UNLIMITED,
    AgentId,
    Message,
    ScheduleTask,
    SpawnAgent,
    SystemClock,
    TaskSpec,
    task_id,
    ulid,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
    from pathlib import Path

    from toka.agent_runtime import Program
    from toka.kernel import Body, KernelEvent
    from toka.llm_gateway import Model
    from toka.runtime import Runtime
    from toka.store.core import Absent, Expected, NewEvent, Receipt
    from toka.tools import Tool
    from toka.types import Budget, Clock, Json, TaskId

BOSS = ("runtime:host:toka", "agent:*:**", "task:*:**", "fs:*:**", "proc:*:**", "model:*:**")
PERSON = ("approval:resolve:**",)
AGENT = ("agent:act:**", "agent:message:**", "fs:*:**", "model:call:**", "proc:run:**")


class PowerCut(BaseException):
    """The machine is gone. Nothing between the store and the test may catch this."""


class CutStore(MemoryStore):
    """A log whose machine loses its power at one append, just before it or just after."""

    def __init__(self, cut_at: int | None = None, *, moment: Literal["before", "after"] = "before"):
        super().__init__()
        self.appends = 0
        self._cut_at = cut_at
        self._moment = moment
        self._dead = False

    async def append(
        self,
        events: Sequence[NewEvent],
        *,
        streams: Mapping[str, Expected] | None = None,
        head: int | None = None,
        absent: Sequence[Absent] = (),
    ) -> Receipt:
        self._check_power()
        self.appends += 1
        if self.appends == self._cut_at and self._moment == "before":
            self._dead = True
        self._check_power()
        receipt = await super().append(events, streams=streams or {}, head=head, absent=absent)
        if self.appends == self._cut_at:
            self._dead = True
        self._check_power()
        return receipt

    def cut(self) -> None:
        """Lose the power now."""
        self._dead = True

    def _check_power(self) -> None:
        if self._dead:
            raise PowerCut

    async def copy(
        self, cut_at: int | None = None, *, moment: Literal["before", "after"] = "before"
    ) -> CutStore:
        """Return a store with the same log, under power until so many further appends."""
        copy = CutStore(cut_at, moment=moment)
        head = 0
        async for event in self.read():
            await MemoryStore.append(copy, [event.new()], head=head)
            head += 1
        return copy

    async def bodies(self) -> list[Body]:
        """Return what every event says."""
        return [decode_body(event.kind, event.payload) async for event in self.read()]


class VirtualClock:
    """Stands still until it is turned; whoever sleeps wakes up in the order of the deadlines."""

    def __init__(self) -> None:
        self._now = SystemClock().now()
        self._sleepers: list[tuple[int, int, anyio.Event]] = []
        self._count = count()

    def now(self) -> int:
        return self._now

    def monotonic(self) -> int:
        return self._now

    async def sleep(self, nanoseconds: int) -> None:
        if nanoseconds <= 0:
            await anyio.lowlevel.checkpoint()
            return
        event = anyio.Event()
        heapq.heappush(self._sleepers, (self._now + nanoseconds, next(self._count), event))
        await event.wait()

    async def turn(self, seconds: float) -> None:
        """Let time pass, and everything happen that happens in it."""
        end = self._now + int(seconds * NANOSECONDS)
        await anyio.wait_all_tasks_blocked()
        while self._sleepers and self._sleepers[0][0] <= end:
            self._now, _, event = heapq.heappop(self._sleepers)
            event.set()
            await anyio.wait_all_tasks_blocked()
        self._now = end


@attrs.define(eq=False)
class World:
    """One machine: what is on its disk, and who has keys to it."""

    store: CutStore = attrs.field(factory=CutStore)
    clock: Clock = attrs.field(factory=SystemClock)
    tools: tuple[Tool, ...] = ()
    model: Callable[[], Model] | None = None
    workspace: Path | None = None
    key: Hs256Key = attrs.field(factory=Hs256Key.generate)
    _tokens: count[int] = attrs.field(factory=count)

    def token(self, *permissions: str, subject: str = "boss", untainted: tuple[str, ...] = ()):
        seconds = self.clock.now() // NANOSECONDS
        name = ulid(self.clock.now() // 1_000_000, next(self._tokens).to_bytes(10, "big"))
        claims = Claims(
            subject, "toka", permissions, seconds, seconds + 86_400, name, untainted=untainted
        )
        return JwtHs256Issuer(self.key, self.clock).issue(claims)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Host]:
        """Switch the machine on."""
        authenticator = Authenticator([JwtHs256Validator([self.key], self.clock)], self.clock)
        boss = self.token(*BOSS)
        async with open_runtime(self.store, authenticator, boss, clock=self.clock) as runtime:
            agents = AgentRuntime(
                runtime, ToolRegistry.of(self.tools), self.model, Workspace(self.workspace or ".")
            )
            yield Host(self, runtime, agents, boss)

    async def after_power_cut(self) -> World:
        """Return the machine as it is when it has power again."""
        return attrs.evolve(self, store=await self.store.copy())


@attrs.define(eq=False)
class Host:
    """A machine that is on."""

    world: World
    runtime: Runtime
    agents: AgentRuntime
    boss: str
    events: list[KernelEvent] = attrs.field(factory=list["KernelEvent"])

    async def task(self, *, budget: Budget = UNLIMITED, tasks: int = 1) -> TaskId:
        """Return the task of the one agent, made if there is none yet."""
        known = list(self.runtime.state.agents())
        if not known:
            spawn = SpawnAgent(None, "worker", BOSS, budget)
            receipt = await self.runtime.submit(Message(self.boss, spawn, "spawn"))
            known = [AgentId(receipt.events[-1].stream)]
        state = self.runtime.state.agent(known[0])
        assert state is not None
        for number in range(state.next_task, tasks):
            schedule = ScheduleTask(known[0], TaskSpec(f"Task {number}"))
            await self.runtime.submit(Message(self.boss, schedule, f"schedule{number}"))
        return task_id(known[0], 0)

    def agent_token(
        self, task: TaskId, permissions: tuple[str, ...] = AGENT, untainted: tuple[str, ...] = ()
    ) -> str:
        agent = task.rpartition("#")[0]
        return self.world.token(*permissions, subject=agent, untainted=untainted)

    async def run(
        self,
        program: Program,
        *,
        permissions: tuple[str, ...] = AGENT,
        untainted: tuple[str, ...] = (),
        budget: Budget = UNLIMITED,
        options: TaskOptions = DEFAULT_OPTIONS,
        variables: Mapping[str, Json] | None = None,
        task: TaskId | None = None,
    ) -> TaskOutcome:
        """Run the one task, from its beginning or on from where it is."""
        task = task or await self.task(budget=budget)
        return await self.agents.run_task(
            task,
            program,
            self.agent_token(task, permissions, untainted),
            variables or {},
            options=options,
            on_event=self.events.append,
        )

    def kinds(self) -> list[str]:
        """Return the kinds of what the runs have recorded."""
        return [event.kind for event in self.events if event.stream != "tokens"]


def powercut_in(error: BaseException) -> bool:
    """Say whether an error is a power cut, or a group of them."""
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        return all(powercut_in(each) for each in group.exceptions)
    return isinstance(error, PowerCut)


async def run_until_cut(
    world: World, run: Callable[[Host], Awaitable[TaskOutcome]]
) -> TaskOutcome | None:
    """Run something on a machine; return None if its power was cut."""
    try:
        async with world.open() as host:
            return await run(host)
    except BaseException as error:
        if not powercut_in(error):
            raise
        return None
