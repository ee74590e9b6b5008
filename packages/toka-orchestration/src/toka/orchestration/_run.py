"""A run: some agents, some inputs, and everything needed to go on with them after a crash.

The definition is recorded whole in the event that spawns the run's root agent, so that a run can
be resumed from the log alone, wherever its files are by then.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import Final, Literal, TypeAlias

import attrs
import msgspec

from toka.orchestration._errors import OrchestrationError, SpecChanged
from toka.types import (
    NANOSECONDS,
    NOTHING,
    AgentId,
    AgentSpec,
    Amounts,
    EventId,
    JsonObject,
    StepDefinition,
    TaskDefinition,
    canonical,
    digest,
)

DEFAULT_MAX_CONCURRENT: Final = 10
_BRIEF: Final = 120
DEFAULT_SPAWN_TIMEOUT: Final = 30 * NANOSECONDS

RunState: TypeAlias = Literal["completed", "failed", "cancelled", "interrupted"]
"""An interrupted run has not ended and can be gone on with."""


@attrs.frozen
class RetryOf:
    """Which run is done anew, and from where on."""

    run: AgentId
    step: EventId
    """An event of the first step that is done anew; what does not follow it is taken over."""


@attrs.frozen
class RunDefinition:
    """What a run is made of."""

    name: str
    """For people: the stem of the file or folder that the specifications came from."""
    key: str
    """Equal for two requests to run the same thing: same source, same inputs."""
    source: str
    """The file or folder."""
    directory: str
    """Where `entry` modules are looked for."""
    workspace: str
    """What relative paths in tool calls are relative to."""
    artifacts: str
    """A directory for what the run makes; every agent's expressions know it as `run.artifacts`."""
    inputs: msgspec.Raw
    """A JSON object: every declared input with its value."""
    agents: tuple[AgentSpec, ...]
    max_concurrent: int = DEFAULT_MAX_CONCURRENT
    """Agents that live at the same time."""
    spawn_timeout: int = DEFAULT_SPAWN_TIMEOUT
    """Nanoseconds within which an agent's spawning must be on disk."""
    timeout: int | None = None
    """Nanoseconds for the whole run."""
    retries: RetryOf | None = None
    """The earlier run whose outcomes are taken over."""

    def encode(self) -> msgspec.Raw:
        """Return the definition as JSON."""
        return msgspec.Raw(msgspec.json.encode(self))

    @classmethod
    def decode(cls, data: msgspec.Raw) -> RunDefinition:
        """Return the definition that `encode` wrote.

        Raises:
            OrchestrationError: The data is not a run's definition.
        """
        try:
            return msgspec.json.decode(data, type=cls)
        except msgspec.MsgspecError as error:
            raise OrchestrationError(
                f"The log's definition of a run cannot be read: {error}.",
                hint="It was written by another version; start the run anew with --fresh.",
            ) from error


def run_key(source: str, inputs: JsonObject) -> str:
    """Return the key of a run: hex digits that depend on the source and every input.

    Raises:
        CanonicalEncodingError: An input has no canonical encoding, a float for example.
    """
    return digest(canonical({"source": source, "inputs": dict(inputs)}))[:16].hex()


@attrs.frozen
class ObjectiveResult:
    """Whether an objective was met, and how that was decided."""

    description: str
    met: bool
    why: str


@attrs.frozen
class AgentResult:
    """How an agent ended."""

    agent: AgentId
    state: str
    reason: str = ""
    objectives: tuple[ObjectiveResult, ...] = ()

    @property
    def met(self) -> bool:
        """Whether the agent completed and met all its objectives."""
        return self.state == "completed" and all(each.met for each in self.objectives)


@attrs.frozen
class RunResult:
    """How a run ended."""

    run: AgentId
    name: str
    state: RunState
    agents: tuple[AgentResult, ...]
    artifacts: str
    spent: Amounts = NOTHING
    reason: str = ""

    @property
    def met(self) -> bool:
        """Whether every objective of every agent was met."""
        return self.state == "completed" and all(agent.met for agent in self.agents)


def require_unchanged(recorded: RunDefinition, current: RunDefinition) -> None:
    """Refuse to go on with a run under other specifications.

    Raises:
        SpecChanged: Names the first step, task or agent that differs.
    """
    old = {spec.name: spec for spec in recorded.agents}
    new = {spec.name: spec for spec in current.agents}
    for name in [*old, *(name for name in new if name not in old)]:
        difference = _difference(old.get(name), new.get(name))
        if difference:
            raise SpecChanged(
                f"Run {recorded.name} is half done, and agent {name} is not what it was when the"
                f" run began: {difference}.",
                hint="Put it back to go on with the run, or start anew with --fresh.",
                details={"agent": name, "difference": difference},
            )


def _difference(old: AgentSpec | None, new: AgentSpec | None) -> str:
    if old is None or new is None:
        return "it is new" if old is None else "it is gone"
    for index, (before, after) in enumerate(zip(old.tasks, new.tasks, strict=False)):
        if before != after:
            return _difference_of_tasks(index, before, after)
    if len(old.tasks) != len(new.tasks):
        return f"task {min(len(old.tasks), len(new.tasks))} is new or gone"
    return f"its specification differs{_fields(old, new)}" if old != new else ""


def _difference_of_tasks(index: int, before: TaskDefinition, after: TaskDefinition) -> str:
    where = f"task {index} ({before.id})"
    for number, (step, other) in enumerate(zip_longest(before.steps, after.steps)):
        if step != other:
            return f"step {number} of {where} {_what_happened(step, other)}"
    return f"{where} differs{_fields(before, after)}"


def _what_happened(step: StepDefinition | None, other: StepDefinition | None) -> str:
    if step is None or other is None:
        return "is new" if step is None else "is gone"
    return f"was {_brief(step)} and is {_brief(other)}"


def _brief(step: StepDefinition) -> str:
    text = bytes(step.source).decode()
    return text if len(text) <= _BRIEF else f"{text[:_BRIEF]}..."


def _fields(before: attrs.AttrsInstance, after: attrs.AttrsInstance) -> str:
    names = [
        name
        for name in attrs.fields_dict(type(before))
        if getattr(before, name) != getattr(after, name)
    ]
    return f" in {', '.join(names)}"
