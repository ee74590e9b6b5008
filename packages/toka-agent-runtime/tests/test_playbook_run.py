"""Playbooks as they run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from toka.agent_runtime import Playbook
from toka.kernel import StepCompleted
from toka.tools import ToolError, tool

from .helpers import World

if TYPE_CHECKING:
    from toka.agent_runtime import TaskOutcome
    from toka.types import Json

pytestmark = pytest.mark.anyio


@tool(side_effect="none", taints=False)
async def echo(value: str) -> str:
    """Say it again."""
    return value


@tool(side_effect="none", taints=False)
async def numbers(upto: int) -> list[int]:
    """Count."""
    return list(range(upto))


@tool(side_effect="none", taints=False)
async def pick(value: int) -> int:
    """Refuse three."""
    SEEN.append(value)
    if value == 3:
        raise ToolError("not three")
    await anyio.lowlevel.checkpoint()
    return value * 10


SEEN: list[int] = []


async def run(*steps: Json, outputs: Json = None, variables: Json = None) -> TaskOutcome:
    SEEN.clear()
    playbook = Playbook.parse(list(steps))
    if outputs is not None:
        playbook = playbook.with_outputs(outputs)
    async with World(tools=(echo, numbers, pick)).open() as host:
        given: dict[str, Json] = {"inputs": variables or {}}
        return await host.run(playbook, variables=given)


async def test_results_are_bound_and_returned():
    outcome = await run(
        {"tool": "echo", "with": {"value": "${inputs.who}"}, "as": "who"},
        {"tool": "echo", "with": {"value": "Hello ${who}"}, "as": "greeting"},
        variables={"who": "you"},
    )
    assert outcome.result == {"who": "you", "greeting": "Hello you"}


async def test_outputs_say_what_is_returned():
    outcome = await run(
        {"tool": "numbers", "with": {"upto": 4}, "as": "all"},
        outputs={"count": "${size(all)}", "odd": "${all.filter(n, n % 2 == 1)}"},
    )
    assert outcome.result == {"count": 4, "odd": [1, 3]}


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_items_give_their_results_in_order(concurrency: int):
    outcome = await run(
        {"tool": "numbers", "with": {"upto": 9}, "as": "all"},
        {
            "tool": "pick",
            "for_each": "${all}",
            "when": "${item != 3 && index % 2 == 1}",
            "with": {"value": "${item}"},
            "as": "picked",
            "concurrency": concurrency,
        },
        outputs="${picked}",
    )
    assert outcome.result == [10, 50, 70]


@pytest.mark.parametrize(("concurrency", "seen"), [(1, [1, 2, 3]), (2, [1, 2, 3, 4])])
async def test_after_a_failed_item_no_further_one_begins(concurrency: int, seen: list[int]):
    outcome = await run(
        {
            "tool": "pick",
            "for_each": [1, 2, 3, 4, 5, 6, 7, 8],
            "with": {"value": "${item}"},
            "concurrency": concurrency,
        }
    )
    assert outcome.failure is not None
    assert outcome.failure.code == "tools.error"
    assert set(SEEN) <= set(seen)


async def test_a_step_that_is_not_wanted_binds_nothing_and_costs_nothing():
    outcome = await run(
        {"tool": "echo", "with": {"value": "x"}, "when": False, "as": "skipped"},
        {"tool": "echo", "with": {"value": "${string(skipped == null)}"}, "as": "seen"},
    )
    assert outcome.result == {"skipped": None, "seen": "true"}


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ({"tool": "echo", "when": "${inputs.who}", "with": {"value": "x"}}, "not true or false"),
        ({"tool": "echo", "for_each": "${inputs.who}", "with": {"value": "x"}}, "not a list"),
        ({"tool": "echo", "with": {"value": "${inputs.nobody}"}}, "Key not found"),
        ({"tool": "echo", "with": {"value": "${1}"}}, "value"),
    ],
)
async def test_what_cannot_be_done_fails_the_task(step: Json, words: str):
    outcome = await run(step, variables={"who": "you"})
    assert outcome.failure is not None
    assert words in outcome.failure.message


async def test_the_agent_and_the_run_are_known():
    outcome = await run(
        {
            "tool": "echo",
            "with": {"value": "${agent.name} ${string(agent.id == run.id)}"},
            "as": "r",
        }
    )
    assert isinstance(outcome.result, dict)
    assert str(outcome.result["r"]).endswith(" true")


async def test_each_item_has_a_path_of_its_own():
    playbook = Playbook.parse([{"tool": "pick", "for_each": [1, 2], "with": {"value": "${item}"}}])
    async with World(tools=(pick,)).open() as host:
        await host.run(playbook)
    paths = [event.body.path for event in host.events if isinstance(event.body, StepCompleted)]
    assert paths == ["root/0:pick/0", "root/0:pick/1"]
