"""Specifications: what a person writes to define an agent, as values.

A value here says what was written, checked and in one unit: times in nanoseconds, sizes in bytes.
Free JSON (a step's arguments, blocks that nothing interprets) is kept as its bytes. Reading these
from YAML, TOML and JSON, with places for errors, is the business of toka-orchestration.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import attrs
import msgspec

from toka.types._budget import UNLIMITED, Budget
from toka.types._clock import NANOSECONDS
from toka.types._operations import NULL, Priority

EMPTY_OBJECT: Final = msgspec.Raw(b"{}")

InputKind: TypeAlias = Literal["text", "path", "integer", "number", "boolean"]
InDoubt: TypeAlias = Literal["retry", "skip", "ask"]
RestartWhen: TypeAlias = Literal["never", "on_failure", "always"]
Way: TypeAlias = Literal["playbook", "code", "model"]


@attrs.frozen
class Metadata:
    """What names an agent and where its work belongs."""

    name: str
    version: str = ""
    created: str = ""
    workstream: str = ""
    branch: str = ""
    modified: str = ""
    schema_version: str = ""
    checksum: str = ""


@attrs.frozen
class Role:
    """What an agent is: the `spec` block."""

    name: str = ""
    """For people; `Metadata.name` is the one that everything else refers to."""
    domain: str = ""
    priority: Priority = "medium"
    description: str = ""


@attrs.frozen
class Capabilities:
    """What an agent is good at, in words. Permissions are in `Security`."""

    primary: tuple[str, ...] = ()
    secondary: tuple[str, ...] = ()


@attrs.frozen
class Objective:
    """What an agent is for, and how to tell that it got there."""

    description: str
    deliverable: str = ""
    validation: str = ""
    """In words, for people and models."""
    priority: Priority = "medium"
    check: str = ""
    """An expression over `results` and `inputs` that is true when the objective is met.

    Empty: the objective is met when all the agent's tasks completed.
    """


@attrs.frozen
class Dependency:
    """Another agent, or `workstream:NAME` for all of one, and why it is waited for."""

    agent: str
    reason: str = ""


@attrs.frozen
class Dependencies:
    """What an agent waits for."""

    required: tuple[Dependency, ...] = ()
    """Must have completed; their failure is the failure of whoever waits."""
    optional: tuple[Dependency, ...] = ()
    """Waited for where present, whatever their end."""


@attrs.frozen
class Metric:
    """A number that an agent reports."""

    name: str
    description: str = ""
    kind: str = ""
    unit: str = ""


@attrs.frozen
class Reporting:
    """How often, where and on what an agent reports."""

    frequency: str = ""
    channels: tuple[str, ...] = ()
    metrics: tuple[Metric, ...] = ()


@attrs.frozen
class ResourceLimits:
    """What an agent may use of the machine; None leaves it to the settings of the run."""

    max_memory: int | None = None
    """Bytes, each process."""
    max_cpu: int | None = None
    """Thousandths of one core."""
    timeout: int | None = None
    """Nanoseconds from an agent's start to its end."""
    max_disk_usage: int | None = None
    """Bytes. Recorded, not enforced."""
    max_network_bandwidth: str = ""
    """As written. Recorded, not enforced."""


@attrs.frozen
class Security:
    """What an agent may do and use."""

    sandbox: bool = True
    capabilities_required: tuple[str, ...] = ()
    """As written: permissions with expressions in them, or the names of the original Toka."""
    resource_limits: ResourceLimits = ResourceLimits()


@attrs.frozen
class InputDefinition:
    """A value that a run is given from outside."""

    name: str
    description: str = ""
    kind: InputKind = "text"
    required: bool = False
    default: msgspec.Raw = NULL
    """As JSON."""


@attrs.frozen
class ModelSettings:
    """How a model is used; None and empty leave it to the agent's settings, then to the run's."""

    name: str = ""
    max_turns: int | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    tools: tuple[str, ...] = ()
    """Tools that the model is offered; empty offers all that the agent's permissions reach."""
    system: str = ""
    """Instructions beside those that come from the specification."""

    def over(self, base: ModelSettings | None) -> ModelSettings:
        """Return these settings, with those of `base` where nothing is said here."""
        if base is None:
            return self
        own = {
            name: value
            for name in attrs.fields_dict(ModelSettings)
            if (value := getattr(self, name)) not in (None, "", ())
        }
        return attrs.evolve(base, **own)


@attrs.frozen
class RetryDefinition:
    """How often something is tried, and how long in between."""

    attempts: int = 1
    """In all, the first one included."""
    initial: int = NANOSECONDS
    """Nanoseconds; the wait before the second attempt is at most this long."""
    factor: float = 2.0
    """By which each later wait may be longer."""
    longest: int = 60 * NANOSECONDS
    """Nanoseconds that no wait exceeds."""
    retry_on: tuple[str, ...] = ()
    """Codes of failures worth another attempt; empty for all that do not say otherwise."""


@attrs.frozen
class StepDefinition:
    """One tool call of a playbook."""

    tool: str
    source: msgspec.Raw = EMPTY_OBJECT
    """The whole step as written, a JSON object; toka-agent-runtime says what may be in it."""


@attrs.frozen
class TaskDefinition:
    """One task of an agent: what is to be done, and how."""

    id: str
    """Unique within the agent: what `depends_on` and `results` refer to."""
    description: str
    priority: Priority = "medium"
    depends_on: tuple[str, ...] = ()
    """Ids or descriptions of the agent's other tasks, or names of agents."""
    steps: tuple[StepDefinition, ...] = ()
    outputs: msgspec.Raw = EMPTY_OBJECT
    """What a playbook returns: a JSON object whose texts may hold `${...}`."""
    entry: str = ""
    """`package.module:function`."""
    model: ModelSettings | None = None
    retry: RetryDefinition | None = None
    timeout: int | None = None
    """Nanoseconds."""
    in_doubt: InDoubt | None = None
    """What becomes of an external effect that a crash left without an outcome.

    None takes the tool's word: retry where it honours idempotency keys, else ask.
    """
    budget: Budget = UNLIMITED
    estimated_duration: int | None = None
    """Nanoseconds, as the author guessed."""
    condition: str = ""
    """The input that must be true for the task to exist; empty for a task of `tasks.default`."""


@attrs.frozen
class RestartPolicy:
    """What happens when an agent has ended, and when to stop trying."""

    when: RestartWhen = "never"
    max_restarts: int = 3
    within: int = 60 * NANOSECONDS
    """More than `max_restarts` in this many nanoseconds: the agent has failed."""


@attrs.frozen
class AgentSpec:
    """Everything that defines an agent."""

    metadata: Metadata
    role: Role = Role()
    capabilities: Capabilities = Capabilities()
    objectives: tuple[Objective, ...] = ()
    tasks: tuple[TaskDefinition, ...] = ()
    """Those of `tasks.default`, then those of `tasks.conditional`, in the order written."""
    dependencies: Dependencies = Dependencies()
    reporting: Reporting = Reporting()
    security: Security = Security()
    inputs: tuple[InputDefinition, ...] = ()
    entry: str = ""
    """Code for the tasks that say nothing themselves."""
    model: ModelSettings | None = None
    budget: Budget = UNLIMITED
    restart: RestartPolicy = RestartPolicy()
    extra: msgspec.Raw = EMPTY_OBJECT
    """Blocks of the document that nothing interprets, as a JSON object."""

    @property
    def name(self) -> str:
        """The name that dependencies, events and commands use."""
        return self.metadata.name

    def way(self, task: TaskDefinition) -> Way:
        """Say how one of the agent's tasks is done."""
        if task.steps:
            return "playbook"
        return "code" if self.entry_of(task) else "model"

    def entry_of(self, task: TaskDefinition) -> str:
        """Return where the code of a task is, or an empty text."""
        own_way = task.steps or task.entry or task.model is not None
        return task.entry if own_way else self.entry

    def model_of(self, task: TaskDefinition) -> ModelSettings:
        """Return the model settings of a task, the agent's where the task says nothing."""
        return (task.model or ModelSettings()).over(self.model)
