"""A tool call as a step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from toka.agent_runtime._encoding import decode, encode
from toka.agent_runtime._questions import question_step
from toka.agent_runtime._retry import NO_RETRY
from toka.agent_runtime._steps import Outcome, Plan, Step, step_key
from toka.tools import AsksPerson, Tool, ToolError, UnknownToolError, VariableEffect, effect_of
from toka.types import NANOSECONDS

if TYPE_CHECKING:
    from toka.agent_runtime._retry import RetryPolicy
    from toka.agent_runtime._run import Run
    from toka.agent_runtime._steps import Call, Place
    from toka.types import InDoubt, Json, JsonObject, SideEffect

GRACE: Final = NANOSECONDS
"""A tool that keeps its own time gets this much more, to say what it had done by then."""


async def run_tool(
    run: Run,
    place: Place,
    name: str,
    arguments: JsonObject,
    *,
    retry: RetryPolicy = NO_RETRY,
    timeout: int | None = None,  # noqa: ASYNC109 - the host's clock counts it
    in_doubt: InDoubt | None = None,
) -> Json:
    """Call a tool as a step, and return what it returned.

    Raises:
        StepFailed: It failed or was refused.
        ResultInvalid: The arguments are not JSON.

    """
    tool = _find(run, name)
    step, call = _tool_step(run, tool, name, arguments, retry, timeout, in_doubt)
    if isinstance(tool, AsksPerson):
        step, call = await question_step(run, place, tool, step, timeout)
    return decode(await run.steps.run(place, step, call))


def _tool_step(
    run: Run,
    tool: Tool | None,
    name: str,
    arguments: JsonObject,
    retry: RetryPolicy,
    timeout: int | None,
    in_doubt: InDoubt | None,
) -> tuple[Step, Call]:
    """Return the step that a tool call is, and what does it.

    Whatever is wrong with the call becomes the outcome of the step.
    """
    encoded = encode(arguments, f"The arguments of {name}")
    # From here on they are what will be read back from the log.
    checked = decode(encoded)
    assert isinstance(checked, dict)  # noqa: S101 - an object was encoded

    def plan() -> Plan:
        found = run.tools.get(name)
        valid = run.tools.validate(name, checked)
        return Plan(found.requests(valid, run.conditions.workspace))

    async def call(_: int) -> Outcome:
        found = run.tools.get(name)
        context = attrs.evolve(
            run.conditions,
            idempotency_key=step_key.get(),
            timeout_ns=run.options.limits.step_timeout if timeout is None else timeout,
            environment=run.session.runtime.tracing.environment(),
        )
        result = await found.call(checked, context)
        return Outcome(
            encode(result.value, f"The result of {name}"),
            taint=(f"tool:{name}",) if found.taints else (),
        )

    step = Step(
        name,
        _effect(run, tool, checked),
        encoded,
        plan,
        retry=retry,
        timeout=None if timeout is None else timeout + GRACE,
        in_doubt=in_doubt or run.options.in_doubt or _default_in_doubt(tool),
        # What a model calls a tool that is not there is its own text, and no name of a span.
        span=f"execute_tool {name}" if tool else "execute_tool",
    )
    return step, call


def _find(run: Run, name: str) -> Tool | None:
    try:
        return run.tools.get(name)
    except UnknownToolError:
        return None


def _effect(run: Run, tool: Tool | None, arguments: JsonObject) -> SideEffect:
    if tool is None:
        return "none"
    if isinstance(tool, VariableEffect):
        try:
            run.tools.validate(tool.name, arguments)
        except ToolError:
            # The step will fail with this before it has any effect.
            return "none"
    return effect_of(tool, arguments)


def _default_in_doubt(tool: Tool | None) -> InDoubt:
    return "retry" if tool is not None and tool.honours_idempotency_key else "ask"
