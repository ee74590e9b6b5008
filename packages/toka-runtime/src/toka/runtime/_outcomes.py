"""What a step's outcome is, wherever in the log it was first made.

A copied step has no outcome of its own: its event names the one that it was copied from, which may
name another. The log only grows, so the chain is finite and never changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import attrs

from toka.capability.core import PermissionSyntaxError
from toka.kernel import Rejection, StepCompleted, StepCopied, StepFailed, StepRepeated, StepStarted
from toka.runtime._log import from_store
from toka.store.core import InvalidEvent
from toka.types import AgentId, agent_of, root_of

if TYPE_CHECKING:
    import msgspec

    from toka.capability.core import Claims
    from toka.kernel import Intent, KernelState
    from toka.runtime._log import Logged
    from toka.store.core import EventStore
    from toka.types import CopyStep, EventId, Failure

End: TypeAlias = StepCompleted | StepFailed


@attrs.frozen
class StepOutcome:
    """The outcome of a step."""

    chain: tuple[Logged, ...]
    """From the event that was asked for to the one in which the outcome was first made."""
    end: End
    """The body of the last of these."""
    intent: Intent
    """What was to be done there."""

    @property
    def result(self) -> msgspec.Raw:
        """What the step returned; `null` if it failed."""
        return self.end.result

    @property
    def failure(self) -> Failure | None:
        """Why the step failed, if it did."""
        return self.end.failure if isinstance(self.end, StepFailed) else None

    @property
    def taint(self) -> tuple[str, ...]:
        """Where the outcome came from, if from outside."""
        return self.end.toll.taint if self.end.toll else ()


async def find_outcome(store: EventStore, event: EventId) -> StepOutcome | None:
    """Return the outcome that an event records; None if it records none, or not any more.

    Raises:
        StoreError: The log cannot be read.
        KernelError: An event is of a kind that this version does not know.
    """
    chain: list[Logged] = []
    logged = await _event(store, event)
    while logged is not None and isinstance(logged.event.body, StepCopied):
        chain.append(logged)
        logged = await _event(store, logged.event.body.origin)
    if logged is None or not isinstance(logged.event.body, (StepCompleted, StepFailed)):
        return None
    intent = await _intent(store, logged)
    return None if intent is None else StepOutcome((*chain, logged), logged.event.body, intent)


async def _intent(store: EventStore, end: Logged) -> Intent | None:
    """Return what was to be done, from the event of the outcome or from that of its start."""
    logged: Logged | None = end
    while logged is not None:
        body = logged.event.body
        if isinstance(body, (StepCompleted, StepFailed, StepStarted)) and body.intent is not None:
            return body.intent
        if not isinstance(body, (StepCompleted, StepFailed, StepRepeated)):
            return None
        logged = await _event(store, logged.event.parents[0])
    return None


async def _event(store: EventStore, event: EventId) -> Logged | None:
    try:
        stored = await store.get(event)
    except InvalidEvent:
        return None
    return None if stored is None or stored.compacted else from_store(stored)


async def untrue(
    store: EventStore, state: KernelState, asked: CopyStep, claims: Claims
) -> Rejection | None:
    """Return why a copy is refused: the log does not say what it says; None if it does.

    What the log says does not change, so it still holds when the kernel decides. A caller whom the
    kernel will refuse in any case is told nothing here: the reasons for that are such as no state
    changes. An agent that is not there yet may be by then, so its copies are refused.
    """
    agent = agent_of(asked.task)
    if not _may_act(claims, agent):
        return None
    root = state.agent(AgentId(root_of(agent)))
    if root is not None and root.copies_from is None:
        return None
    if root is not None and state.agent(agent) is not None:
        place = f"{root.copies_from}{asked.task[len(root_of(agent)) :]}", asked.path, asked.ordinal
        outcome = await find_outcome(store, asked.origin)
        if outcome is not None and _place_of(outcome) == place:
            said = (asked.name, asked.failed, asked.taint)
            if said == (outcome.intent.name, outcome.failure is not None, outcome.taint):
                return None
    return Rejection(
        "runtime.copy_untrue",
        f"Event {asked.origin} has no such outcome for step {asked.name} (path {asked.path}, number"
        f" {asked.ordinal}) of task {asked.task}.",
        details={"task": asked.task, "path": asked.path, "ordinal": asked.ordinal},
    )


def _may_act(claims: Claims, agent: AgentId) -> bool:
    act = f"agent:act:{agent}"
    try:
        return claims.granted.covers(act) is not None or claims.guarded.covers(act) is not None
    except PermissionSyntaxError:
        return False  # No agent is called so; the kernel says it.


def _place_of(outcome: StepOutcome) -> tuple[str, str, int]:
    event = outcome.chain[0].event
    body = event.body
    assert isinstance(body, (StepCompleted, StepCopied, StepFailed))  # noqa: S101 - find_outcome
    return f"{event.stream}#{body.task}", body.path, body.ordinal
