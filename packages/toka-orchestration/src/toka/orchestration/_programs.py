"""From a task as specified to a program that the agent runtime does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from toka.agent_runtime import (
    NO_RETRY,
    STANDARD_NAMES,
    ModelProgram,
    RetryPolicy,
    TaskLimits,
    TaskOptions,
    Template,
    load_entry,
)
from toka.orchestration._spec_tasks import playbook_of
from toka.types import EMPTY_OBJECT

if TYPE_CHECKING:
    from pathlib import Path

    from toka.agent_runtime import Program
    from toka.tools import Workspace
    from toka.types import AgentSpec, Json, RetryDefinition, TaskDefinition

DIRECTIVES = "behavioral_directives"
"""The block of the original's format that a model is told as instructions."""

_THOUSANDTHS = 1_000


def program_of(
    spec: AgentSpec, task: TaskDefinition, directory: Path, variables: dict[str, Json]
) -> Program:
    """Return what does a task.

    Args:
        spec: The agent.
        task: One of its tasks.
        directory: Where `entry` modules are looked for first.
        variables: What expressions can see.

    Raises:
        PlaybookInvalid: The task's steps are no playbook, or a model's text no template.
        ExpressionFailed: An expression in a model's text has no value.
        EntryInvalid: The task's code cannot be loaded.
    """
    match spec.way(task):
        case "playbook":
            playbook = playbook_of(task)
            if task.outputs == EMPTY_OBJECT:
                return playbook
            return playbook.with_outputs(msgspec.json.decode(task.outputs))
        case "code":
            return load_entry(spec.entry_of(task), directory)
        case "model":
            return _model_program(spec, task, variables)


def _model_program(
    spec: AgentSpec, task: TaskDefinition, variables: dict[str, Json]
) -> ModelProgram:
    settings = spec.model_of(task)
    defaults = ModelProgram(task.description)
    return ModelProgram(
        task=_text(task.description, variables),
        name=spec.role.name or spec.name,
        domain=spec.role.domain,
        description=spec.role.description,
        objectives=spec.objectives,
        directives=_directives(spec),
        system=_text(settings.system, variables),
        tools=settings.tools,
        model=settings.name or None,
        max_turns=settings.max_turns or defaults.max_turns,
        max_output_tokens=settings.max_tokens or defaults.max_output_tokens,
        temperature=settings.temperature,
    )


def _text(text: str, variables: dict[str, Json]) -> str:
    value = Template.parse(text, STANDARD_NAMES).render(variables)
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _directives(spec: AgentSpec) -> tuple[str, ...]:
    extra: dict[str, Json] = msgspec.json.decode(spec.extra)
    block = extra.get(DIRECTIVES)
    if not isinstance(block, dict):
        return ()
    lists = [each for each in block.values() if isinstance(each, list)]
    return tuple(str(text) for each in lists for text in each)


def options_of(spec: AgentSpec, task: TaskDefinition, workspace: Workspace) -> TaskOptions:
    """Return how a task is run besides what it does."""
    limits = spec.security.resource_limits
    return TaskOptions(
        retry=_retry(task.retry),
        limits=TaskLimits(
            max_memory=limits.max_memory,
            max_cpu=None if limits.max_cpu is None else limits.max_cpu / _THOUSANDTHS,
            timeout=task.timeout,
        ),
        in_doubt=task.in_doubt,
        workspace=workspace,
    )


def _retry(definition: RetryDefinition | None) -> RetryPolicy:
    if definition is None:
        return NO_RETRY
    return RetryPolicy(
        attempts=definition.attempts,
        initial=definition.initial,
        factor=definition.factor,
        longest=definition.longest,
        retry_on=definition.retry_on,
    )
