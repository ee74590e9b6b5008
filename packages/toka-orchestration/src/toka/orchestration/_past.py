"""The steps of a run that has ended, read from its log: what a retry goes by.

Positions in the log say what came before what. Of results nothing is kept here: a step is known by
the events that began and ended it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import attrs
import msgspec

from toka.kernel import (
    MessageSent,
    StepCompleted,
    StepCopied,
    StepFailed,
    StepRepeated,
    StepStarted,
    TaskCompleted,
    TaskStarted,
)
from toka.orchestration._errors import StepNotRecorded
from toka.runtime import from_store
from toka.types import AgentId, EventId, TaskId, digest, root_agent, root_of, task_id

if TYPE_CHECKING:
    from collections.abc import Iterable

    from toka.kernel import Intent
    from toka.runtime import Logged
    from toka.store.core import EventStore

Fact: TypeAlias = StepCompleted | StepCopied | StepFailed | StepRepeated | StepStarted
Parcel: TypeAlias = tuple[str, str, bytes]
"""Who sent a message to whom, and the digest of what it says."""

SEND = "send"


@attrs.define(eq=False)
class PastStep:
    """A step as the log has it."""

    task: TaskId
    attempt: int
    path: str
    ordinal: int
    began: int
    """Position of its first event."""
    cause: EventId
    """What it came after: the step before it on its path, or where its branch began."""
    events: list[EventId]
    ended: int | None = None
    """Position of its outcome."""
    failed: bool = False
    message: str = ""
    """That it took out of the mailbox."""
    sent: Parcel | None = None
    """That it put into the mailbox of an agent of the same run."""

    @property
    def agent(self) -> AgentId:
        """Whose step it is."""
        return AgentId(self.task.rpartition("#")[0])

    @property
    def outcome(self) -> EventId | None:
        """The event of its outcome."""
        return None if self.ended is None else self.events[-1]


@attrs.define(eq=False)
class Past:
    """What a run did."""

    run: AgentId
    steps: list[PastStep] = attrs.Factory(list[PastStep])
    completed: set[TaskId] = attrs.Factory(set[TaskId])
    mail: dict[str, tuple[int, Parcel]] = attrs.Factory(dict[str, tuple[int, Parcel]])
    """Messages within the run, by their identifiers: where in the log, and what."""
    _open: dict[tuple[TaskId, int, str, int], PastStep] = attrs.Factory(
        dict[tuple[TaskId, int, str, int], PastStep]
    )
    _attempts: dict[tuple[TaskId, int], int] = attrs.Factory(dict[tuple[TaskId, int], int])

    def take(self, logged: Logged) -> None:
        """Take up an event of one of the run's agents, in the order of its stream."""
        event, body = logged.event, logged.event.body
        agent = AgentId(event.stream)
        if isinstance(body, TaskStarted):
            self._attempts[task_id(agent, body.task), body.fence] = body.attempt
        elif isinstance(body, TaskCompleted):
            self.completed.add(task_id(agent, body.task))
        elif isinstance(body, MessageSent):
            if root_agent(root_of(AgentId(body.sender))) == self.run:
                parcel = (body.sender, agent, digest(bytes(body.body)))
                self.mail[body.message] = (logged.position, parcel)
        elif isinstance(body, Fact):
            self._take_step(logged, agent, body)

    def _take_step(self, logged: Logged, agent: AgentId, body: Fact) -> None:
        task = task_id(agent, body.task)
        attempt = self._attempts[task, body.fence]
        place = (task, attempt, body.path, body.ordinal)
        step = self._open.get(place)
        if step is None:
            cause = logged.event.parents[0]
            step = PastStep(task, attempt, body.path, body.ordinal, logged.position, cause, [])
            self._open[place] = step
            self.steps.append(step)
        step.events.append(logged.event.id)
        if not isinstance(body, (StepRepeated, StepCopied)) and body.intent is not None:
            self._note_message(step, body.intent)
        if not isinstance(body, (StepRepeated, StepStarted)):
            step.ended = logged.position
            step.failed = body.failed if isinstance(body, StepCopied) else _has_failed(body)

    def _note_message(self, step: PastStep, intent: Intent) -> None:
        if intent.terms is not None and intent.terms.message is not None:
            step.message = intent.terms.message
        if intent.name == SEND:
            step.sent = _parcel(step.agent, intent.arguments)


def _has_failed(body: StepCompleted | StepFailed) -> bool:
    return isinstance(body, StepFailed)


class _Sending(msgspec.Struct, forbid_unknown_fields=True):
    """The arguments of a step that sends a message."""

    agent: str
    body: msgspec.Raw


def _parcel(sender: AgentId, arguments: msgspec.Raw) -> Parcel | None:
    try:
        sending = msgspec.json.decode(arguments, type=_Sending)
    except msgspec.MsgspecError:
        # A step of somebody's own that happens to have this name.
        return None
    within = root_of(AgentId(sending.agent)) == root_of(sender)
    return (sender, sending.agent, digest(bytes(sending.body))) if within else None


async def read_past(store: EventStore, run: AgentId, agents: Iterable[AgentId]) -> Past:
    """Read what the agents of a run did.

    Raises:
        StepNotRecorded: The log was compacted, and has the outcomes no more.
        StoreError: The log cannot be read.
    """
    past = Past(run)
    for agent in agents:
        async for stored in store.read_stream(agent):
            if stored.compacted:
                raise StepNotRecorded(
                    f"The log of run {run} was compacted; the outcomes of its steps are gone.",
                    hint="Begin the run anew.",
                    details={"run": run},
                )
            past.take(from_store(stored))
    return past
