"""The power is cut at every append, before and after it, and the run must end the same."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Literal

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from toka.agent_runtime import Code, ModelProgram, Playbook, StepFailed, TaskContext
from toka.kernel import StepCompleted, StepStarted
from toka.kernel import StepFailed as StepFailedFact
from toka.llm_gateway import ToolUse
from toka.llm_gateway.testing import ScriptedModel, reply
from toka.tools import ToolError, tool

from .helpers import CutStore, World, run_until_cut

if TYPE_CHECKING:
    from toka.agent_runtime import Program
    from toka.llm_gateway import ModelRequest, ModelResponse
    from toka.types import Json, SideEffect

pytestmark = pytest.mark.anyio

Moment = Literal["before", "after"]


@attrs.define(eq=False)
class Effects:
    """Tools that count what they do, by effect and arguments."""

    done: Counter[str] = attrs.field(factory=Counter[str])

    def tools(self):
        return tuple([self._tool(effect) for effect in EFFECTS])

    def _tool(self, effect: SideEffect):
        @tool(
            side_effect=effect,
            name=f"do_{effect}",
            description="Counts.",
            taints=False,
            honours_idempotency_key=True,
        )
        async def do(what: str, fail: bool = False) -> str:
            self.done[f"{effect} {what}"] += 1
            if fail:
                raise ToolError(f"{what} failed")
            return f"{what}!"

        return do


EFFECTS: tuple[SideEffect, ...] = ("none", "read_only", "idempotent", "external", "privileged")

PLAYBOOK = Playbook.parse(
    [
        {"tool": "do_read_only", "with": {"what": "${inputs.first}"}, "as": "one"},
        {
            "tool": "do_external",
            "for_each": ["x", "y", "z"],
            "with": {"what": "${item + one}"},
            "when": "${index != 1}",
            "as": "each",
        },
        {"tool": "do_idempotent", "with": {"what": "${each[1]}"}, "as": "last"},
    ]
)


async def code(ctx: TaskContext) -> Json:
    first = await ctx.tool("do_external", what="first")
    with pytest.raises(StepFailed) as caught:
        await ctx.tool("do_external", what="second", fail=True)
    second = [caught.value.code, caught.value.message]
    number = await ctx.random()
    side = ctx.branch("side")
    third = await side.tool("do_privileged", what=f"third {number}")
    await ctx.sleep(0.001)
    await ctx.observe("progress", {"done": 3})
    return [first, second, number, third, await ctx.now()]


def answers(request: ModelRequest) -> ModelResponse:
    """Say what a model would say that has seen these messages."""
    turn = len(request.messages) // 2
    script = [
        reply("I look.", ToolUse("1", "do_read_only", {"what": "a"})),
        reply(
            ToolUse("2", "do_external", {"what": "b"}), ToolUse("3", "do_external", {"what": "c"})
        ),
        reply(ToolUse("4", "finish", {"result": len(request.messages), "objectives": []})),
    ]
    return script[turn]


PROGRAMS: dict[str, Program] = {
    "playbook": PLAYBOOK,
    "code": Code(code),
    "model": ModelProgram("Do a, then b and c."),
}


async def run_with_cut(
    program: Program, cut: int | None, moment: Moment
) -> tuple[World, Effects, Json, bool]:
    """Run with one power cut, and on after it; return what was done and what came of it."""
    effects = Effects()
    store = CutStore(cut, moment=moment)
    world = World(store, tools=effects.tools(), model=lambda: ScriptedModel(answers))
    variables: dict[str, Json] = {"inputs": {"first": "in"}}
    outcome = await run_until_cut(world, lambda host: host.run(program, variables=variables))
    was_cut = outcome is None
    if outcome is None:
        finished = await finished_arguments(world)
        before = Counter(effects.done)
        world = await world.after_power_cut()
        async with world.open() as host:
            outcome = await host.run(program, variables=variables)
        again = effects.done - before
        assert not set(again) & finished, "a finished effect was done again"
    assert outcome.failure is None
    return world, effects, outcome.result, was_cut


async def finished_arguments(world: World) -> set[str]:
    """Return which effects have an outcome on record."""
    names: dict[tuple[str, int], str] = {}
    finished: set[str] = set()
    for body in await world.store.bodies():
        if not isinstance(body, (StepStarted, StepCompleted, StepFailedFact)):
            continue
        intent = body.intent
        if intent is not None and intent.name.startswith("do_"):
            what = bytes(intent.arguments).decode().partition('"what":"')[2].partition('"')[0]
            names[body.path, body.ordinal] = f"{intent.name.removeprefix('do_')} {what}"
        if not isinstance(body, StepStarted) and (body.path, body.ordinal) in names:
            finished.add(names[body.path, body.ordinal])
    return finished


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_run_survives_a_power_cut_at_every_append(name: str, moment: Moment):
    program = PROGRAMS[name]
    _, whole, expected, _ = await run_with_cut(program, None, moment)
    assert set(whole.done.values()) == {1}
    cut, was_cut = 1, True
    while was_cut:
        world, effects, result, was_cut = await run_with_cut(program, cut, moment)
        assert _comparable(result) == _comparable(expected)
        repeated = [what for what, times in effects.done.items() if times > 1]
        assert len(repeated) <= 1, "at most the effect in flight is done again"
        assert max(effects.done.values()) <= 2
        assert (await world.store.verify()).ok
        cut += 1
    assert cut > 8


def _comparable(result: Json) -> Json:
    # Chance and time are recorded, so they are the same within a run, and others in another one.
    return result if not isinstance(result, list) else result[:2]


_step = st.fixed_dictionaries(
    {
        "tool": st.sampled_from([f"do_{effect}" for effect in EFFECTS]),
        "with": st.just({"what": "${string(NUMBER)}"}),
    },
    optional={
        "for_each": st.lists(st.integers(0, 9), max_size=4),
        "when": st.booleans(),
        "concurrency": st.integers(1, 3),
    },
)


def _numbered(steps: list[dict[str, Json]]) -> list[Json]:
    """Give each call arguments of its own, so that a repetition shows."""
    playbook: list[Json] = []
    for number, step in enumerate(steps):
        each = "-${string(index)}" if "for_each" in step else ""
        body = {**step, "with": {"what": f"{number}{each}"}, "as": f"r{number}"}
        if "for_each" not in step:
            body.pop("concurrency", None)
        playbook.append(body)
    return playbook


@given(
    steps=st.lists(_step, min_size=1, max_size=5),
    cut=st.integers(4, 25),
    moment=st.sampled_from(["before", "after"]),
)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_random_playbooks_survive_random_power_cuts(
    steps: list[dict[str, Json]], cut: int, moment: Moment
):
    program = Playbook.parse(_numbered(steps))
    _, whole, expected, _ = await run_with_cut(program, None, moment)
    assert set(whole.done.values()) <= {1}
    _, effects, result, _ = await run_with_cut(program, cut, moment)
    assert result == expected
    assert set(effects.done) == set(whole.done)
    most = max([int(str(step.get("concurrency", 1))) for step in steps])
    assert sum(times - 1 for times in effects.done.values()) <= most


async def test_two_power_cuts_in_a_row():
    effects = Effects()
    world = World(CutStore(9), tools=effects.tools())
    variables: dict[str, Json] = {"inputs": {"first": "in"}}
    assert await run_until_cut(world, lambda host: host.run(PLAYBOOK, variables=variables)) is None
    again = await world.after_power_cut()
    again.store._cut_at = 4
    assert await run_until_cut(again, lambda host: host.run(PLAYBOOK, variables=variables)) is None
    last = await again.after_power_cut()
    async with last.open() as host:
        outcome = await host.run(PLAYBOOK, variables=variables)
    assert outcome.completed
    assert sum(effects.done.values()) <= 4 + 2
