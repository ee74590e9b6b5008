"""A small world to ask the kernel in: one run with two agents, and everybody's tokens."""

from itertools import count

import msgspec
import pytest

from toka.capability.core import Claims
from toka.kernel import EMPTY_STATE, Kernel, KernelEvent, Rejection, TaskScheduled
from toka.types import (
    NANOSECONDS,
    NOTHING,
    AgentId,
    Amounts,
    AnyOperation,
    EntityId,
    EventId,
    FinishStep,
    OpenHost,
    ScheduleTask,
    SideEffect,
    SpawnAgent,
    StartStep,
    StartTask,
    StepIntent,
    TaskId,
    TaskSpec,
    task_id,
)

SECOND = NANOSECONDS
EARLIER = AgentId("01JXEAR1ER0000000000000RAN")
"""A run that has ended; the kernel keeps nothing of those."""
EVERYTHING = (
    "agent:spawn:**",
    "agent:act:**",
    "agent:control:**",
    "agent:message:**",
    "approval:resolve:**",
    "event:read:**",
    "task:schedule:**",
    "task:cancel:**",
    "runtime:host:**",
    "fs:read:/data/**",
    "ledger:mint:**",
)


class Counting:
    """Identifiers in order."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def event(self) -> EventId:
        return EventId(f"01JE{next(self._numbers):022d}")

    def entity(self) -> EntityId:
        return EntityId(f"01JX{next(self._numbers):022d}")


class World:
    """A kernel, its state, its log and a clock; checks with each question that asking is pure."""

    def __init__(self, kernel: Kernel | None = None) -> None:
        self.kernel = kernel or Kernel()
        self.state = EMPTY_STATE
        self.log: list[KernelEvent] = []
        self.ids = Counting()
        self.now = 1_700_000_000 * SECOND
        self._tokens = count(1)
        self.boss = self.claims("boss", *EVERYTHING)

    def claims(
        self, subject: str, *permissions: str, untainted: tuple[str, ...] = (), life: int = 80_000
    ) -> Claims:
        issued = self.now // SECOND
        token = f"token-{next(self._tokens)}"
        return Claims(
            subject, "vault", permissions, issued, issued + life, token, untainted=untainted
        )

    def ask(
        self, operation: AnyOperation, claims: Claims | None = None
    ) -> tuple[KernelEvent, ...] | Rejection:
        before = self.state
        answer = self.kernel.decide(before, operation, claims or self.boss, self.now, self.ids)
        if not isinstance(answer, Rejection):
            for event in answer:
                self.state = self.kernel.evolve(self.state, event)
            self.log += answer
        return answer

    def do(self, operation: AnyOperation, claims: Claims | None = None) -> KernelEvent:
        """Return the last event of what was allowed."""
        answer = self.ask(operation, claims)
        assert not isinstance(answer, Rejection), answer
        return answer[-1]

    def refused(self, operation: AnyOperation, claims: Claims | None = None) -> Rejection:
        before = self.state.digest()
        asked = self.kernel.authorize(self.state, operation, claims or self.boss, self.now)
        answer = self.ask(operation, claims)
        assert isinstance(answer, Rejection), answer
        assert self.state.digest() == before
        assert asked == answer
        return answer

    def replayed(self, kernel: Kernel | None = None) -> object:
        state = EMPTY_STATE
        for event in self.log:
            state = (kernel or self.kernel).evolve(state, event)
        return state

    # Shorthands

    def root(self, **parts) -> AgentId:
        return AgentId(self.do(SpawnAgent(None, "run", **parts)).stream)

    def child(self, parent: AgentId, name: str, **parts) -> AgentId:
        return AgentId(self.do(SpawnAgent(parent, name, **parts)).stream)

    def queued(self, agent: AgentId) -> TaskId:
        body = self.do(ScheduleTask(agent, TaskSpec("do it"))).body
        assert isinstance(body, TaskScheduled)
        return task_id(agent, body.task)

    def running(self, agent: AgentId, holder: str = "worker") -> TaskId:
        task = self.queued(agent)
        self.do(StartTask(task, holder, 60 * SECOND))
        return task

    def step(
        self,
        task: TaskId,
        *,
        path: str = "root",
        ordinal: int | None = None,
        fence: int | None = None,
        name: str = "noop",
        effect: SideEffect = "none",
        arguments: bytes = b"{}",
        requires: tuple[str, ...] = (),
        estimate: Amounts = NOTHING,
        **more,
    ) -> StepIntent:
        known = self.state.task(task)
        if ordinal is None:
            at = None if known is None else known.paths.get(path)
            ordinal = 0 if at is None else at.next
        if fence is None:
            fence = 0 if known is None else known.fence
        raw = msgspec.Raw(arguments)
        return StepIntent(
            task, fence, path, ordinal, name, effect, raw, requires, estimate=estimate, **more
        )

    def finish(self, step: StepIntent, **parts) -> FinishStep:
        return FinishStep(step, self.now, **parts)

    def start(self, task: TaskId, **parts) -> StepIntent:
        step = self.step(task, **parts)
        self.do(StartStep(step))
        return step

    def open(self, holder: str = "host") -> None:
        self.do(OpenHost(holder))


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def make_world() -> type[World]:
    return World


@pytest.fixture
def root(world: World) -> AgentId:
    return world.root(copies_from=EARLIER)


@pytest.fixture
def agent(world: World, root: AgentId) -> AgentId:
    return world.child(root, "inventory")


@pytest.fixture
def task(world: World, agent: AgentId) -> TaskId:
    return world.running(agent)
