"""Operations: everything that a message can ask the kernel to do.

An operation is a request, never a fact; the facts are the events that the kernel decides. Each
class says which permission it needs, with the agent's path in place of `AGENT`.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import attrs
import msgspec

from toka.types._budget import NOTHING, UNLIMITED, Amounts, Budget
from toka.types._errors import InvalidValueError
from toka.types._ids import AgentId, EntityId, EventId, TaskId, check_agent_name
from toka.types._limits import (
    MAX_OBSERVATION_BYTES,
    MAX_PERMISSIONS,
    MAX_SPEC_BYTES,
    MAX_STEP_RESULT_BYTES,
    MAX_TASK_DESCRIPTION_BYTES,
)

Priority: TypeAlias = Literal["critical", "high", "medium", "low"]

PRIORITIES: Final[tuple[Priority, ...]] = ("critical", "high", "medium", "low")
"""Most urgent first."""

SideEffect: TypeAlias = Literal["none", "read_only", "idempotent", "external", "privileged"]
"""What running a step once more would do; the last two put its start on disk before the effect."""

NULL = msgspec.Raw(b"null")


def check_text(text: str, what: str, limit: int) -> str:
    """Return `text` if it says something and fits.

    Raises:
        InvalidValueError: It is blank, or longer than `limit` bytes of UTF-8.

    """
    if not text or text.isspace():
        raise InvalidValueError(f"{what} is blank.")
    # A character is at most four bytes, so most texts are settled without encoding them.
    if len(text) * 4 > limit and len(text.encode()) > limit:
        raise InvalidValueError(f"{what} is longer than {limit} bytes.")
    return text


def check_size(data: msgspec.Raw, what: str, limit: int) -> None:
    """Raise InvalidValueError if `data` is longer than `limit` bytes."""
    size = len(bytes(data))
    if size > limit:
        raise InvalidValueError(f"{what} has {size} bytes; at most {limit} are accepted.")


@attrs.frozen
class TaskSpec:
    """A task as the kernel knows it; how it is done is the agent's specification's business."""

    description: str
    priority: Priority = "medium"

    def __attrs_post_init__(self) -> None:
        check_text(self.description, "The task's description", MAX_TASK_DESCRIPTION_BYTES)
        if self.priority not in PRIORITIES:
            raise InvalidValueError(
                f"{self.priority!r} is not a priority.", hint=f"Use one of {', '.join(PRIORITIES)}."
            )


@attrs.frozen
class Failure:
    """Why something failed, as a fact to be recorded."""

    code: str
    message: str
    details: msgspec.Raw = NULL


@attrs.frozen
class SpawnAgent:
    """Create an agent. Needs `agent:spawn:NAME` for a root, `agent:spawn:PARENT/NAME` else.

    The new agent's permissions must each be covered by the caller's, and its budget is taken out of
    its parent's. With `copies_from`, it needs `event:read:COPIES_FROM/**` besides.
    """

    parent: AgentId | None
    name: str
    permissions: tuple[str, ...] = ()
    budget: Budget = UNLIMITED
    spec: msgspec.Raw = NULL
    """The whole specification as JSON; the kernel stores it and does not look inside."""
    untainted: tuple[str, ...] = ()
    """What it may do besides, while nothing from outside has influenced it."""
    copies_from: AgentId | None = None
    """A root that has ended, whose steps' outcomes the new root's family may take over."""

    def __attrs_post_init__(self) -> None:
        check_agent_name(self.name)
        check_size(self.spec, f"The specification of agent {self.name}", MAX_SPEC_BYTES)
        if len(self.permissions) > MAX_PERMISSIONS:
            raise InvalidValueError(
                f"Agent {self.name} asks for {len(self.permissions)} permissions;"
                f" at most {MAX_PERMISSIONS} are accepted."
            )


@attrs.frozen
class SuspendAgent:
    """Stop an agent from starting tasks and steps. Needs `agent:control:AGENT`."""

    agent: AgentId
    reason: str


@attrs.frozen
class ResumeAgent:
    """Undo a suspension. Needs `agent:control:AGENT`."""

    agent: AgentId
    reason: str = ""


@attrs.frozen
class RestartAgent:
    """Begin an ended agent's life again. Needs `agent:control:AGENT`.

    Its failed tasks, and those cancelled with it, are queued again; its budget is what was left.
    A root that has ended cannot be restarted: its family is gone from the state.
    """

    agent: AgentId
    reason: str


@attrs.frozen
class FinishAgent:
    """End an agent's life as completed, or as failed if a failure is given. `agent:act:AGENT`."""

    agent: AgentId
    failure: Failure | None = None
    result: msgspec.Raw = NULL


@attrs.frozen
class TerminateAgent:
    """End an agent and all below it, whatever they do. Needs `agent:control:AGENT`."""

    agent: AgentId
    reason: str


@attrs.frozen
class ScheduleTask:
    """Put a task into an agent's queue. Needs `task:schedule:AGENT`."""

    agent: AgentId
    task: TaskSpec


@attrs.frozen
class StartTask:
    """Take the lease on a task and run it. Needs `agent:act:AGENT`.

    A lease that another holder has is respected until it expires or until a newer host of the log
    has made it void. The event carries the fencing number that later operations must present.
    """

    task: TaskId
    holder: str
    lease: int
    """Nanoseconds."""


@attrs.frozen
class RenewLease:
    """Keep a lease for longer. Needs `agent:act:AGENT`."""

    task: TaskId
    fence: int
    lease: int


@attrs.frozen
class ReleaseTask:
    """Give a lease back with the task unfinished, so that it can go on elsewhere at once."""

    task: TaskId
    fence: int
    reason: str


@attrs.frozen
class RetryTask:
    """End an attempt as failed and queue the task for another. Needs `agent:act:AGENT`."""

    task: TaskId
    fence: int
    failure: Failure
    not_before: int
    """Nanoseconds since the Unix epoch before which the next attempt does not start."""


@attrs.frozen
class CompleteTask:
    """End a task with its result. Needs `agent:act:AGENT`."""

    task: TaskId
    fence: int
    result: msgspec.Raw = NULL

    def __attrs_post_init__(self) -> None:
        check_size(self.result, f"The result of task {self.task}", MAX_STEP_RESULT_BYTES)


@attrs.frozen
class FailTask:
    """End a task as failed. Needs `agent:act:AGENT`."""

    task: TaskId
    fence: int
    failure: Failure


@attrs.frozen
class CancelTask:
    """End a task that is not wanted any more. Needs `task:cancel:AGENT`."""

    task: TaskId
    reason: str


@attrs.frozen
class StepIntent:
    """One effect of a task: what will be done, and every permission that it takes."""

    task: TaskId
    fence: int
    path: str
    """Where in the task: the branches taken from its top, as in `root` or `root/2:files/17`."""
    ordinal: int
    """Number of the step on its path, from 0."""
    name: str
    effect: SideEffect
    arguments: msgspec.Raw
    """As JSON. A retry under the same key has the same arguments, byte for byte."""
    requires: tuple[str, ...] = ()
    """Requests that the caller's permissions must cover, for example `fs:read:/data/a.txt`."""
    approval: EntityId | None = None
    """An approval that this step consumes."""
    message: EntityId | None = None
    """A message in the agent's mailbox that this step consumes."""
    estimate: Amounts = NOTHING
    """Set aside from the budget when the step starts; what is not spent returns when it ends."""


@attrs.frozen
class StartStep:
    """Record that an effect is about to happen. Needs `agent:act:AGENT` and what it requires."""

    step: StepIntent


@attrs.frozen
class FinishStep:
    """Record the outcome of a step, and its start too where none is recorded.

    Needs `agent:act:AGENT` and what the step requires.
    """

    step: StepIntent
    started: int
    """Nanoseconds since the Unix epoch at which the effect began."""
    result: msgspec.Raw = NULL
    failure: Failure | None = None
    spent: Amounts = NOTHING
    taint: tuple[str, ...] = ()
    """Where the result came from, if from outside: labels that mark the task from now on."""
    attempts: int = 1

    def __attrs_post_init__(self) -> None:
        check_size(self.result, f"The result of step {self.step.name}", MAX_STEP_RESULT_BYTES)


@attrs.frozen
class CopyStep:
    """Take over the outcome of a step from an earlier run, in place of doing it. `agent:act:AGENT`.

    The root of the agent's family was spawned with that run as `copies_from`, and an outcome is
    taken over to its own place only: the same agent, task number, path and ordinal.
    """

    task: TaskId
    fence: int
    path: str
    ordinal: int
    name: str
    origin: EventId
    """The event of the earlier run that has the outcome; the host holds the rest against it."""
    failed: bool = False
    """Whether the outcome is a failure."""
    taint: tuple[str, ...] = ()
    """The labels that the outcome came with, which mark the task again."""


@attrs.frozen
class EmitObservation:
    """Record something an agent wants remembered. Needs `agent:act:AGENT`."""

    agent: AgentId
    topic: str
    data: msgspec.Raw

    def __attrs_post_init__(self) -> None:
        check_text(self.topic, "The observation's topic", 256)
        check_size(self.data, "The observation", MAX_OBSERVATION_BYTES)


@attrs.frozen
class SendMessage:
    """Put a message into an agent's mailbox. Needs `agent:message:AGENT`."""

    agent: AgentId
    body: msgspec.Raw

    def __attrs_post_init__(self) -> None:
        check_size(self.body, "The message", MAX_OBSERVATION_BYTES)


@attrs.frozen
class RequestApproval:
    """Ask a person for one effect. Needs `agent:act:AGENT`.

    The answer is good once, for a step with these arguments, until it expires.
    """

    task: TaskId
    fence: int
    name: str
    """Of the step that waits, a tool's name for example."""
    arguments: bytes
    """BLAKE3 digest of the step's arguments as JSON bytes, 32 bytes."""
    question: str
    expires: int
    """Nanoseconds since the Unix epoch."""
    on_expiry: Literal["approve", "deny"] = "deny"
    shown: msgspec.Raw = NULL
    """The arguments themselves, for whoever answers; `null` to keep them out of the log."""
    form: msgspec.Raw = NULL
    """JSON Schema of what is to be answered besides yes; `null` where yes or no is all.

    Silence is no answer, so what is asked in this way is denied on expiry.
    """


@attrs.frozen
class ResolveApproval:
    """Answer a request. Needs `approval:resolve:AGENT`."""

    approval: EntityId
    decision: Literal["approve", "deny"]
    reason: str = ""
    answer: msgspec.Raw = NULL
    """What the request's form asks for; `null` where it has none, and with `deny`."""


@attrs.frozen
class ExpireApproval:
    """Apply the stated outcome to a request that nobody answered. Needs `agent:act:AGENT`."""

    approval: EntityId


@attrs.frozen
class ReserveBudget:
    """Set an amount aside. Needs `agent:act:AGENT`."""

    agent: AgentId
    amounts: Amounts


@attrs.frozen
class SettleBudget:
    """Spend from a reservation and return the rest. Needs `agent:act:AGENT`.

    More than was set aside is recorded as spent and reported as overdrawn, because it happened.
    """

    reservation: EntityId
    spent: Amounts


@attrs.frozen
class OpenHost:
    """Become the host of the log: every lease of an earlier host is void. `runtime:host:VAULT`."""

    holder: str


Operation: TypeAlias = (
    SpawnAgent
    | SuspendAgent
    | ResumeAgent
    | RestartAgent
    | FinishAgent
    | TerminateAgent
    | ScheduleTask
    | StartTask
    | RenewLease
    | ReleaseTask
    | RetryTask
    | CompleteTask
    | FailTask
    | CancelTask
    | StartStep
    | FinishStep
    | CopyStep
    | EmitObservation
    | SendMessage
    | RequestApproval
    | ResolveApproval
    | ExpireApproval
    | ReserveBudget
    | SettleBudget
    | OpenHost
)


@attrs.frozen
class Extension:
    """An operation of an extension family, decided by a handler registered with the kernel."""

    opcode: str
    """Dotted name, for example `ledger.mint.v1`."""
    target: str
    """What the caller's permission must cover, as a whole request."""
    data: msgspec.Raw
