"""The kernel alone, in memory: how many operations a second it decides and applies.

The kernel waits for nothing, so its time is measured as time of the processor: on a core of its own
that is the time on the wall, and here other work on the machine does not show.
"""

from __future__ import annotations

import time
from itertools import count
from typing import TYPE_CHECKING

import attrs
import msgspec

from benchmarks._replay import megabytes_of_replay, replayed
from toka.capability.core import Claims
from toka.kernel import (
    EMPTY_STATE,
    Kernel,
    KernelEvent,
    KernelState,
    Rejection,
    decode_body,
    encode_body,
)
from toka.types import (
    NANOSECONDS,
    AgentId,
    CompleteTask,
    EntityId,
    EventId,
    FinishAgent,
    FinishStep,
    ScheduleTask,
    SpawnAgent,
    StartTask,
    StepIntent,
    TaskSpec,
    child_agent,
    task_id,
    ulid,
)
from workshop.measure import Measure, at_least, at_most

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toka.types import AnyOperation
    from workshop.measure import Subject

LOG = 1_000_000
FAMILIES, AGENTS, TASKS, STEPS = 20, 5, 2, 40
NOW = 1_700_000_000 * NANOSECONDS
CLAIMS = Claims(
    subject="bench",
    vault="bench",
    permissions=("agent:spawn:**", "agent:act:**", "task:schedule:**"),
    issued_at=1_700_000_000,
    expires_at=1_700_080_000,
    token_id=ulid(0, bytes(10)),
)
OTHERS = attrs.evolve(CLAIMS, token_id=ulid(1, bytes(10)))
"""Of the crowd, so that the first of the measured operations admits its token in any case."""
EMPTY_OBJECT = msgspec.Raw(b"{}")


class Ids:
    """Identifiers as long as real ones, the same in each run, at next to no cost."""

    def __init__(self, start: int = 0) -> None:
        self._numbers = count(start)

    def event(self) -> EventId:
        return EventId(f"{next(self._numbers):026d}")

    def entity(self) -> EntityId:
        return EntityId(f"{next(self._numbers):026d}")


def lives(kernel: Kernel, ids: Ids) -> tuple[list[AnyOperation], list[KernelEvent]]:
    """Return the operations of whole agents' lives, mostly steps, and the events they cause."""
    operations: list[AnyOperation] = []
    events: list[KernelEvent] = []
    state = EMPTY_STATE

    def ask(operation: AnyOperation) -> AgentId:
        nonlocal state
        operations.append(operation)
        decided = decide(kernel, state, operation, ids)
        for event in decided:
            state = kernel.evolve(state, event)
        events.extend(decided)
        return AgentId(decided[-1].stream)

    for _ in range(FAMILIES):
        root = ask(SpawnAgent(None, "run"))
        for number in range(AGENTS):
            agent = child_agent(root, f"agent-{number}")
            ask(SpawnAgent(root, f"agent-{number}"))
            for operation in work(agent):
                ask(operation)
    return operations, events


def work(agent: AgentId) -> Iterator[AnyOperation]:
    """Yield what an agent does from its first task to its end."""
    for number in range(TASKS):
        task = task_id(agent, number)
        yield ScheduleTask(agent, TaskSpec("count the lines of every file"))
        yield StartTask(task, "worker-1", 30 * NANOSECONDS)
        for ordinal in range(STEPS):
            step = StepIntent(task, 1, "root", ordinal, "noop", "none", EMPTY_OBJECT)
            yield FinishStep(step, NOW)
        yield CompleteTask(task, 1)
    yield FinishAgent(agent)


def decide(
    kernel: Kernel,
    state: KernelState,
    operation: AnyOperation,
    ids: Ids,
    claims: Claims = CLAIMS,
) -> tuple[KernelEvent, ...]:
    """Return what is decided; that nothing is refused is part of the benchmark."""
    answer = kernel.decide(state, operation, claims, NOW, ids)
    if isinstance(answer, Rejection):
        raise TypeError(answer.message)
    return answer


def crowd(kernel: Kernel, families: int) -> KernelState:
    """Return a state with so many families, each of one agent with a task under a lease."""
    state, ids = EMPTY_STATE, Ids(10**12)

    def ask(operation: AnyOperation) -> AgentId:
        nonlocal state
        decided = decide(kernel, state, operation, ids, OTHERS)
        for event in decided:
            state = kernel.evolve(state, event)
        return AgentId(decided[-1].stream)

    for _ in range(families):
        agent = ask(SpawnAgent(None, "run"))
        ask(ScheduleTask(agent, TaskSpec("wait")))
        ask(StartTask(task_id(agent, 0), "worker-2", NANOSECONDS))
    return state


def operations_per_second(families: int = 0) -> Subject:
    """Return a subject that decides and applies whole lives beside so many other families."""
    kernel = Kernel()
    operations, _ = lives(kernel, Ids())
    start = crowd(kernel, families)

    def subject() -> float:
        state, ids = start, Ids()
        begun = time.process_time()
        for operation in operations:
            for event in decide(kernel, state, operation, ids):
                state = kernel.evolve(state, event)
        return len(operations) / (time.process_time() - begun)

    return subject


def replayed_per_second() -> Subject:
    """Return a subject that rebuilds the state from the bytes of events."""
    kernel = Kernel()
    _, events = lives(kernel, Ids())
    stored = [(event, event.kind, encode_body(event.body)) for event in events]

    def subject() -> float:
        state = EMPTY_STATE
        begun = time.process_time()
        for header, kind, data in stored:
            event = KernelEvent(
                header.id,
                header.stream,
                decode_body(kind, data),
                header.time,
                header.parents,
                header.intent,
                header.actor,
                header.token,
            )
            state = kernel.evolve(state, event)
        return len(stored) / (time.process_time() - begun)

    return subject


def bytes_of_a_step() -> float:
    """Return how long the payload of a step is that does nothing."""
    _, events = lives(Kernel(), Ids())
    sizes = [len(encode_body(event.body)) for event in events if event.kind == "step.completed.v1"]
    return max(sizes)


def measures() -> list[Measure]:
    """Return what this suite measures."""
    return [
        Measure(
            "decide + evolve, in memory",
            "operations/s",
            {"ours": operations_per_second()},
            [at_least(60_000)],
        ),
        Measure(
            "the same beside 10,000 live families",
            "operations/s",
            {"ours": operations_per_second(10_000)},
        ),
        Measure(
            "replay: decode a body + evolve",
            "events/s",
            {"ours": replayed_per_second()},
            [at_least(100_000)],
        ),
        Measure("payload of a no-op step", "bytes", {"ours": bytes_of_a_step}, [at_most(180)]),
        Measure(
            f"replay of a log of {LOG:,} events",
            "events/s",
            {"ours": replayed(LOG), "a tenth of it": replayed(LOG // 10)},
            [at_least(60_000), at_least(0.8, times="a tenth of it")],
        ),
        Measure(
            f"memory that a replay of {LOG:,} events takes beside the program",
            "MB",
            {"ours": megabytes_of_replay(LOG)},
            [at_most(32)],
        ),
    ]
