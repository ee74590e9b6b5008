"""What requests and answers look like. The API document is made from these classes."""

from datetime import UTC, datetime
from typing import Final, Literal, TypeAlias

import attrs
import msgspec

from toka.types import NANOSECONDS

Time: TypeAlias = str
"""RFC 3339, UTC, to the millisecond."""

RunStateName: TypeAlias = Literal[
    "running", "paused", "interrupted", "completed", "failed", "cancelled"
]

RESULT_BYTES: Final = 65_536
"""A longer result, argument or message is not put into an answer; the log has it."""


def moment(nanoseconds: int) -> Time:
    """Write a time since the Unix epoch."""
    seconds, rest = divmod(nanoseconds, NANOSECONDS)
    base = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{base}.{rest // 1_000_000:03d}Z"


def moment_or_none(nanoseconds: int | None) -> Time | None:
    """Write a time that may not have come."""
    return None if nanoseconds is None else moment(nanoseconds)


@attrs.frozen
class Health:
    """Whether the service works. Needs no token."""

    status: Literal["healthy"]
    version: str
    orchestration_status: Literal["idle", "running"]
    agent_count: int
    """Agents that live."""
    uptime_seconds: float


@attrs.frozen
class Status:
    """How far the work has come, over all runs that have not ended."""

    session_id: str
    """Names this opening of the log."""
    current_phase: Literal["idle", "running"]
    progress: float
    """Agents of unfinished runs that have ended, as a share; 1 if no run is unfinished."""
    completed: bool
    """No run is unfinished."""
    error: str | None
    """Why the newest run that stopped before its end did so."""
    spawned_agents: int
    """Agents that were ever spawned."""


@attrs.frozen
class Spent:
    """What was used up."""

    money_micro_usd: int
    tokens: int
    calls: int


@attrs.frozen
class Run:
    """A run."""

    run: str
    name: str
    state: RunStateName
    """`interrupted`: it has not ended, and nothing goes on with it now."""
    began: Time
    ended: Time | None
    duration_seconds: float | None
    """Null while it has not ended."""
    reason: str
    agents: int
    agents_ended: int
    steps: int
    copied: int
    """Of the steps, those whose outcomes were taken over from an earlier run."""
    spent: Spent
    approvals: int
    """Questions that wait for a person."""


@attrs.frozen
class RunPage:
    """Some runs, newest first unless asked otherwise."""

    runs: tuple[Run, ...]
    next: str | None
    """What to give as `after` for the next page; null on the last one."""


@attrs.frozen
class Attempt:
    """One attempt at a task."""

    number: int
    state: str
    started: Time
    ended: Time | None
    steps: int
    reason: str


@attrs.frozen
class Task:
    """A task of an agent."""

    task: str
    agent: str
    description: str
    priority: str
    state: str
    attempt: int
    started: Time | None
    ended: Time | None
    steps: int
    step: str
    """The step that happened last, or is happening."""
    spent: Spent
    reason: str
    result: msgspec.Raw | None
    """What the task returned, if it is not longer than 65,536 bytes."""
    result_bytes: int | None
    attempts: tuple[Attempt, ...]


@attrs.frozen
class Agent:
    """An agent."""

    agent: str
    """Its path: the run, then names, separated by slashes."""
    run: str
    parent: str | None
    name: str
    state: str
    started: Time | None
    ended: Time | None
    reason: str
    restarts: int
    tasks: int
    tasks_ended: int
    steps: int
    copied: int
    """Of the steps, those whose outcomes were taken over from an earlier run."""
    spent: Spent


@attrs.frozen
class AgentPage:
    """Some agents: run by run, each run's in the order of their spawning."""

    agents: tuple[Agent, ...]
    next: str | None


@attrs.frozen
class Approval:
    """A question that waits for a person."""

    approval: str
    run: str
    run_name: str
    agent: str
    task: str
    name: str
    """What would be done: a tool's name."""
    question: str
    asked: Time
    expires: Time
    on_expiry: Literal["approve", "deny"]
    """What counts if nobody answers in time."""
    data: msgspec.Raw | None
    """What the tool would be given; null where that is too long to be shown."""
    form: msgspec.Raw | None
    """JSON Schema that an answer must satisfy; null where yes or no is all."""
    taint: tuple[str, ...]
    """What from outside has influenced the task that asks."""
    event: str
    """That asked it; `/v1/explanations/EVENT` says why."""


@attrs.frozen
class ApprovalList:
    """Every question that waits for a person."""

    approvals: tuple[Approval, ...]


@attrs.frozen
class Retried:
    """From where a run goes on."""

    run: str
    step: str
    """An event of the first step that was done anew."""


@attrs.frozen
class RunDetail:
    """A run with its agents and open questions."""

    run: Run
    source: str
    artifacts: str
    """Where it puts what it makes, on the service's machine."""
    inputs: msgspec.Raw
    retries: Retried | None
    """The earlier run whose outcomes it takes over, if it does."""
    agents: tuple[Agent, ...]
    """The first 500; `/v1/runs/RUN/graph` has them all."""
    approvals: tuple[Approval, ...]


@attrs.frozen
class StartedRun:
    """A run that was begun."""

    run: Run
    warnings: tuple[str, ...]
    """What loads and is probably not meant."""


class RetryRun(msgspec.Struct, forbid_unknown_fields=True):
    """Begin an ended run again."""

    step: str = ""
    """Any event of the step from which on it is done anew; what does not follow that step is taken
    over from the ended run. Everything is done anew if this is left out."""


class StartRun(msgspec.Struct, forbid_unknown_fields=True):
    """Begin a run."""

    source: str | dict[str, object]
    """A specification file or a folder of them, relative to the service's workspace and inside it;
    or one specification as an object, which may not name code of its own."""
    inputs: dict[str, str] = {}
    """Values for inputs, as they would be given on a command line."""


class CancelRun(msgspec.Struct, forbid_unknown_fields=True):
    """End a run."""

    reason: str = "Cancelled over HTTP."


class Control(msgspec.Struct, forbid_unknown_fields=True):
    """Pause something, or let it go on."""

    reason: str = ""


class AnswerApproval(msgspec.Struct, forbid_unknown_fields=True):
    """Answer a question."""

    decision: Literal["approve", "deny"]
    reason: str = ""
    answer: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    """With `approve`, what satisfies the question's form, if it has one; else left out."""


@attrs.frozen
class ApprovalAnswer:
    """The answer as it was recorded."""

    approval: str
    decision: Literal["approve", "deny"]


@attrs.frozen
class Event:
    """An event of the log."""

    position: int
    id: str
    kind: str
    stream: str
    time: Time
    actor: str
    token: str
    intent: str
    parents: tuple[str, ...]
    body: msgspec.Raw
