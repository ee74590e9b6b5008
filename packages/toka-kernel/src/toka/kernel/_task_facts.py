"""Facts about tasks, in the stream of their agent; a task is named by its number there."""

from typing import ClassVar

import attrs
import msgspec

from toka.types import Failure, TaskSpec


@attrs.frozen
class TaskScheduled:
    """A task waits to be started."""

    kind: ClassVar[str] = "task.scheduled.v1"
    task: int
    spec: TaskSpec
    taint: tuple[str, ...] = ()
    """Who handed it on after having read from outside."""


@attrs.frozen
class TaskStarted:
    """Somebody holds the lease on the task."""

    kind: ClassVar[str] = "task.started.v1"
    task: int
    attempt: int
    """From 1."""
    fence: int
    """The number that every later operation on the task must present."""
    holder: str
    expires: int
    epoch: int
    """The host under which the lease is good."""


@attrs.frozen
class LeaseRenewed:
    """The lease is good for longer."""

    kind: ClassVar[str] = "lease.renewed.v1"
    task: int
    fence: int
    expires: int


@attrs.frozen
class TaskReleased:
    """The task was given back unfinished; its steps stay."""

    kind: ClassVar[str] = "task.released.v1"
    task: int
    fence: int
    reason: str


@attrs.frozen
class TaskRetried:
    """An attempt failed and another is due; its steps begin again."""

    kind: ClassVar[str] = "task.retried.v1"
    task: int
    fence: int
    attempt: int
    """The number of the next attempt."""
    failure: Failure
    not_before: int


@attrs.frozen
class TaskCompleted:
    """The task is done."""

    kind: ClassVar[str] = "task.completed.v1"
    task: int
    fence: int
    result: msgspec.Raw


@attrs.frozen
class TaskFailed:
    """The task could not be done; a restart of its agent would try again.

    A task that ran out of time fails with the code that its runner gives.
    """

    kind: ClassVar[str] = "task.failed.v1"
    task: int
    fence: int
    failure: Failure


@attrs.frozen
class TaskCancelled:
    """The task is not wanted any more, or ended together with its agent."""

    kind: ClassVar[str] = "task.cancelled.v1"
    task: int
    reason: str
    with_agent: bool
    """The agent ended; a restart would revive the task."""


@attrs.frozen
class TaskRevived:
    """A task that had failed, or ended with its agent, waits again after the agent's restart."""

    kind: ClassVar[str] = "task.revived.v1"
    task: int
    attempt: int
