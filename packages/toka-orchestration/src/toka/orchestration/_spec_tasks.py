"""The `tasks` block: node to values."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, cast

import msgspec

from toka.agent_runtime import (
    STANDARD_NAMES,
    Playbook,
    PlaybookInvalid,
    Template,
    parse_duration,
)
from toka.orchestration._errors import DuplicateNameError, SpecExpressionError, UnknownKeyError
from toka.orchestration._spec_node import ScalarNode, follow, plain
from toka.orchestration._spec_reader import (
    Reader,
    is_identifier,
    read_free,
    read_mapping,
    read_mappings,
)
from toka.types import (
    EMPTY_OBJECT,
    MAX_TASK_DESCRIPTION_BYTES,
    PRIORITIES,
    UNLIMITED,
    Budget,
    ModelSettings,
    RetryDefinition,
    StepDefinition,
    TaskDefinition,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toka.orchestration._spec_node import Node
    from toka.orchestration._spec_reader import Findings
    from toka.types import InDoubt, Json

MAX_TASKS: Final = 1_000
"""Tasks of one agent."""

_IN_DOUBT: Final[tuple[InDoubt | None, ...]] = ("retry", "skip", "ask")
_ENTRY = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.ASCII)
_ID = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MICRODOLLARS: Final = 1_000_000


def read_tasks(root: Reader) -> tuple[TaskDefinition, ...]:
    """Return the tasks of an agent: the default ones, then the conditional ones."""
    hint = "Add tasks.default with at least one task."
    block = root.block("tasks")
    if block is None:
        if root.entry("tasks") is None:
            root.missing("tasks", hint)
        return ()
    default = block.entry("default")
    tasks: list[TaskDefinition] = []
    if default is not None:
        tasks += _numbered(default.value, block.at("default"), root.findings, "")
    conditional = block.block("conditional")
    if conditional is not None:
        tasks += _conditional(conditional)
    if not tasks and not root.findings.errors:
        block.missing("default", hint)
    if len(tasks) > MAX_TASKS:
        block.fault("default", f"There are {len(tasks)} tasks; at most {MAX_TASKS} are accepted.")
    block.finish()
    _refuse_same_ids(tasks, root)
    return tuple(tasks)


def _conditional(block: Reader) -> Iterator[TaskDefinition]:
    for entry in block.node.entries:
        path = block.at(entry.key)
        if not is_identifier(entry.key):
            what = f"The condition {entry.key!r} cannot be the name of an input."
            block.findings.error(entry, path, what, "Use letters, digits and '_'.")
        yield from _numbered(entry.value, path, block.findings, entry.key)


def _numbered(
    node: Node, path: str, findings: Findings, condition: str
) -> Iterator[TaskDefinition]:
    for number, reader in enumerate(read_mappings(node, path, findings), 1):
        yield _task(reader, f"{condition or 'task'}{number}", condition)


def _task(reader: Reader, default_id: str, condition: str) -> TaskDefinition:
    description = reader.text("description", required="Say what is to be done.")
    if len(description.encode()) > MAX_TASK_DESCRIPTION_BYTES:
        what = f"A description has at most {MAX_TASK_DESCRIPTION_BYTES} bytes."
        reader.fault("description", what, "Shorten it.")
    task = TaskDefinition(
        id=_id(reader) or default_id,
        description=description or default_id,
        priority=reader.choice("priority", PRIORITIES, "medium"),
        depends_on=_depends_on(reader),
        steps=tuple(_steps(reader)),
        outputs=reader.free("outputs"),
        entry=read_entry(reader),
        model=read_model(reader),
        retry=read_retry(reader),
        timeout=reader.quantity("timeout", parse_duration),
        in_doubt=reader.choice("in_doubt", _IN_DOUBT, None),
        budget=read_budget(reader),
        estimated_duration=reader.quantity("estimated_duration", parse_duration),
        condition=condition,
    )
    reader.finish()
    _refuse_two_ways(task, reader)
    _check_templates(task, reader)
    reader.findings.remember(f"task:{task.id}", reader.node, reader.path)
    return task


def _id(reader: Reader) -> str:
    text = reader.text("id")
    if text and not _ID.fullmatch(text):
        reader.fault("id", f"{text!r} cannot be an id.", "Use letters, digits and '_'.")
        return ""
    return text


def _depends_on(reader: Reader) -> tuple[str, ...]:
    return tuple([text for text in reader.texts("depends_on", "dependencies") if text])


def _refuse_two_ways(task: TaskDefinition, reader: Reader) -> None:
    if task.steps and task.entry:
        reader.fault("entry", "A task has steps or an entry, not both.", "Remove one.")
    if task.steps and task.model is not None:
        reader.fault("model", "A task with steps uses no model.", "Remove one.")
    if task.outputs != EMPTY_OBJECT and not task.steps:
        reader.fault("outputs", "Only a task with steps has outputs.", "Return them from the code.")


def _check_templates(task: TaskDefinition, reader: Reader) -> None:
    """Compile what a playbook returns, and what a model is told."""
    outputs = reader.entry("outputs")
    if outputs is not None and task.steps:
        try:
            playbook_of(task).with_outputs(plain(outputs.value))
        except PlaybookInvalid as error:
            node, path = follow(outputs.value, reader.at("outputs"), error.path)
            reader.findings.error(node, path, error.message, error.hint, SpecExpressionError)
    if "${" in task.description:
        try:
            Template.parse(task.description, STANDARD_NAMES)
        except PlaybookInvalid as error:
            reader.fault("description", error.message, error.hint)


def _refuse_same_ids(tasks: list[TaskDefinition], root: Reader) -> None:
    seen: set[str] = set()
    for task in tasks:
        if task.id in seen:
            what = f"Two tasks have the id {task.id!r}."
            hint = "Give each its own; a task without an id is called after its position."
            root.findings.error(root.node, root.at("tasks"), what, hint, DuplicateNameError)
        seen.add(task.id)


def _steps(reader: Reader) -> Iterator[StepDefinition]:
    """Yield the steps, once the playbook that they make has been seen to parse."""
    entry = reader.entry("steps")
    if entry is None:
        return
    node, path, faults = entry.value, reader.at("steps"), len(reader.findings.errors)
    read_free(node, path, reader.findings)
    if len(reader.findings.errors) > faults:
        return
    source = plain(node)
    try:
        playbook = Playbook.parse(source)
    except PlaybookInvalid as error:
        found, where = follow(node, path, error.path)
        kind = UnknownKeyError if "not a key" in error.message else SpecExpressionError
        reader.findings.error(found, where, error.message, error.hint, kind)
        return
    for step, written in zip(playbook.steps, cast("list[Json]", source), strict=True):
        yield StepDefinition(step.tool, msgspec.Raw(msgspec.json.encode(written)))


def playbook_of(task: TaskDefinition) -> Playbook:
    """Return the playbook of a task that was read from a document.

    Raises:
        PlaybookInvalid: The task has no steps, or its steps were not read from a document.
    """
    return Playbook.parse([msgspec.json.decode(step.source) for step in task.steps])


def read_retry(reader: Reader) -> RetryDefinition | None:
    """Return how often to try."""
    block = reader.block("retry")
    if block is None:
        return None
    base = RetryDefinition()
    factor = block.number("factor")
    if factor is not None and not 1 <= factor <= 10:  # noqa: PLR2004 - beyond that it is no backoff
        block.fault("factor", f"{factor} is not between 1 and 10.")
    initial = block.quantity("initial", parse_duration)
    longest = block.quantity("longest", parse_duration)
    retry = RetryDefinition(
        attempts=block.integer("attempts", minimum=1, maximum=1_000) or base.attempts,
        initial=base.initial if initial is None else initial,
        factor=base.factor if factor is None else float(factor),
        longest=max(base.longest, initial or 0) if longest is None else longest,
        retry_on=block.texts("retry_on"),
    )
    if retry.longest < retry.initial:
        block.fault("longest", "The longest wait is shorter than the initial one.")
    block.finish()
    return retry


def read_entry(reader: Reader) -> str:
    """Return where code is."""
    text = reader.text("entry")
    if text and not _ENTRY.fullmatch(text):
        reader.fault("entry", f"{text!r} names no function.", "Write 'package.module:function'.")
        return ""
    return text


def read_model(reader: Reader) -> ModelSettings | None:
    """Return how a model is used; a text alone is the model's name."""
    entry = reader.entry("model")
    if entry is None:
        return None
    if isinstance(entry.value, ScalarNode):
        return ModelSettings(name=reader.text("model"))
    block = read_mapping(entry.value, reader.at("model"), reader.findings)
    if block is None:
        return None
    temperature = block.number("temperature")
    if temperature is not None and not 0 <= temperature <= 2:  # noqa: PLR2004 - as of every API
        block.fault("temperature", f"{temperature} is not between 0 and 2.")
    settings = ModelSettings(
        name=block.text("name"),
        max_turns=block.integer("max_turns", minimum=1, maximum=10_000),
        max_tokens=block.integer("max_tokens", minimum=1),
        temperature=None if temperature is None else float(temperature),
        tools=block.texts("tools"),
        system=block.text("system"),
    )
    block.finish()
    return settings


def read_budget(reader: Reader) -> Budget:
    """Return what may be used up; money is written in dollars."""
    block = reader.block("budget")
    if block is None:
        return UNLIMITED
    dollars = block.number("money")
    if dollars is not None and not 0 <= dollars <= 1_000_000_000:  # noqa: PLR2004
        block.fault("money", f"{dollars} is no amount of dollars.")
        dollars = None
    budget = Budget(
        money=None if dollars is None else round(dollars * _MICRODOLLARS),
        tokens=block.integer("tokens"),
        calls=block.integer("calls"),
    )
    block.finish()
    return budget
