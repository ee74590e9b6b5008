"""A playbook, done step by step over a task's context.

Only tool calls are steps; expressions are evaluated again on resume, from the recorded results.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import anyio
import attrs

from toka.agent_runtime._errors import ExpressionFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toka.agent_runtime._context import TaskContext
    from toka.agent_runtime._expression import Variables
    from toka.agent_runtime._playbook import Playbook, PlaybookStep
    from toka.types import Json


async def run_playbook(playbook: Playbook, context: TaskContext) -> Json:
    """Do the steps in order, and return the playbook's outputs.

    Raises:
        StepFailed: A step failed, or an expression has no value.

    """
    variables: Variables = dict(context.variables)
    bound: dict[str, Json] = {}
    for step in playbook.steps:
        result = await _run_step(step, context, variables)
        if step.bind is not None:
            variables[step.bind] = bound[step.bind] = result
    return bound if playbook.outputs is None else playbook.outputs.render(variables)


async def _run_step(step: PlaybookStep, context: TaskContext, variables: Variables) -> Json:
    if step.for_each is not None:
        return await _run_items(step, context, variables)
    return await _call(step, context, variables) if _is_wanted(step, variables) else None


def _is_wanted(step: PlaybookStep, variables: Variables) -> bool:
    if step.when is None:
        return True
    wanted = step.when.render(variables)
    if not isinstance(wanted, bool):
        raise ExpressionFailed(
            f"'when' of step {_label(step)} is not true or false, but {_kind(wanted)}."
        )
    return wanted


async def _call(step: PlaybookStep, context: TaskContext, variables: Variables) -> Json:
    arguments = step.arguments.render(variables)
    assert isinstance(arguments, Mapping)  # noqa: S101 - a template of an object renders to one
    return await context.call_tool(
        step.tool, arguments, retry=step.retry, timeout=step.timeout, in_doubt=step.in_doubt
    )


async def _run_items(step: PlaybookStep, context: TaskContext, variables: Variables) -> list[Json]:
    assert step.for_each is not None  # noqa: S101 - asked by the caller
    items = step.for_each.render(variables)
    if not isinstance(items, Sequence) or isinstance(items, str):
        raise ExpressionFailed(
            f"'for_each' of step {_label(step)} is not a list, but {_kind(items)}."
        )
    work = _Items(step, context.branch(_label(step)), variables, items)
    if step.concurrency == 1:
        await work.work()
    else:
        async with anyio.create_task_group() as group:
            for _ in range(min(step.concurrency, len(items))):
                group.start_soon(work.work)
    work.raise_first()
    return [work.results[index] for index in sorted(work.results)]


@attrs.define(eq=False)
class _Items:
    """The items of a `for_each`, worked off by one or several workers.

    After a failure no further item is begun, but what has begun is finished: an effect that is
    broken off would be in doubt. The failure that counts is that of the first item in order.
    """

    step: PlaybookStep
    context: TaskContext
    variables: Variables
    items: Sequence[Json]
    results: dict[int, Json] = attrs.field(factory=dict[int, "Json"])
    _failures: dict[int, Exception] = attrs.field(factory=dict[int, Exception])
    _queue: Iterator[int] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._queue = iter(range(len(self.items)))

    async def work(self) -> None:
        """Do items until none is left or one has failed."""
        for index in self._queue:
            if self._failures:
                return
            variables = {**self.variables, "item": self.items[index], "index": index}
            try:
                if _is_wanted(self.step, variables):
                    context = self.context.at(str(index))
                    self.results[index] = await _call(self.step, context, variables)
            except Exception as error:  # noqa: BLE001 - raised by raise_first, in order
                self._failures[index] = error

    def raise_first(self) -> None:
        """Raise the failure of the first item that failed, if one did."""
        if self._failures:
            raise self._failures[min(self._failures)]


def _label(step: PlaybookStep) -> str:
    return step.id or step.bind or step.tool


def _kind(value: Json) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"
