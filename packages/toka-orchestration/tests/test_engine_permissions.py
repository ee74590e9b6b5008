"""Nothing without a capability: what runs and their agents may do, and what they may not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import pytest

from toka.auth import AuthenticationError
from toka.orchestration import SpecError, permissions_of
from toka.orchestration._grants import permissions_of_agent
from toka.runtime import Rejected
from toka.types import (
    AgentId,
    Amounts,
    Budget,
    FinishAgent,
    Message,
    ScheduleTask,
    SpawnAgent,
    TaskSpec,
)

from .engine_world import World, path, reasons, states

if TYPE_CHECKING:
    from pathlib import Path

    from toka.agent_runtime import TaskContext

pytestmark = pytest.mark.anyio


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def needs(*permissions: str) -> dict:
    return {"security": {"capabilities_required": list(permissions)}}


def granted(world: World) -> str:
    return f"fs:read:{world.folder.resolve()}/**"


async def test_a_token_that_lacks_what_an_agent_asks_for_begins_no_run(world: World):
    what = world.define([world.agent("a", **needs(granted(world), "proc:run:git"))])
    held = [each for each in permissions_of(what) if each != "proc:run:git"]
    async with world.open() as host:
        with pytest.raises(Rejected, match="proc:run:git") as refused:
            await host.orchestrator.begin(what, world.token(*held))
        assert refused.value.rejection.needed == "proc:run:git"
        assert not host.orchestrator.unfinished()


async def test_a_token_that_may_not_spawn_begins_no_run(world: World):
    what = world.define([world.agent("a")])
    async with world.open() as host:
        with pytest.raises(Rejected) as refused:
            await host.orchestrator.begin(what, world.token("agent:spawn:another"))
        assert refused.value.rejection.needed == f"agent:spawn:{what.name}"
        stranger = World(world.folder)
        with pytest.raises(AuthenticationError):
            await host.orchestrator.begin(what, stranger.token("agent:spawn:**"))


async def test_an_agent_gets_no_more_than_its_run(world: World):
    """A run whose definition asks for more than the run was granted, as a forger would begin it."""
    agents = [
        world.agent("a", **needs("proc:run:git")),
        world.agent("b", requires=["a"]),
        world.agent("c"),
    ]
    what = world.define(agents)
    async with world.open() as host:
        spawn = SpawnAgent(None, what.name, (), spec=what.encode())
        receipt = await host.submit(spawn, "agent:spawn:**")
        run = AgentId(receipt.events[-1].stream)
        result = await host.orchestrator.execute(run)
    assert states(result) == {"a": "configured", "b": "failed", "c": "completed"}
    assert "cannot give a the permission proc:run:git" in result.reason
    assert reasons(result)["a"] == "It was not spawned."


async def test_agents_get_no_more_of_a_budget_than_the_run_has(world: World):
    agents = [world.agent("a", budget={"calls": 8}), world.agent("b", budget={"calls": 8})]
    what = world.define(agents, max_concurrent_agents=1)
    async with world.open() as host:
        spawn = SpawnAgent(None, what.name, (), Budget(calls=10), spec=what.encode())
        receipt = await host.submit(spawn, "agent:spawn:**")
        result = await host.orchestrator.execute(AgentId(receipt.events[-1].stream))
    assert states(result) == {"a": "completed", "b": "configured"}
    assert "b (It could not be spawned" in result.reason
    assert result.spent == Amounts()


async def test_what_an_agent_was_not_granted_is_refused_in_the_kernel(world: World):
    (world.folder / "secret").write_text("s")
    seen: list[str] = []

    async def read(ctx: TaskContext):
        seen.append(ctx.agent)
        await ctx.tool("read_file", path=str(world.folder / "secret"))

    agents = [
        world.agent("may", work="read", **needs(granted(world))),
        world.agent("may-not", work="read"),
    ]
    result = await world.run(world.define(agents, {"read": read}))
    assert states(result) == {"may": "completed", "may-not": "failed"}
    assert "fs:read:" in reasons(result)["may-not"]


async def test_the_token_of_an_agent_is_good_for_that_agent_alone(world: World):
    async with world.open() as host:
        run = await host.begin(world.define([world.agent("a"), world.agent("b")]))
        root = host.runtime.state.agent(run)
        assert root is not None
        for name in "ab":
            await host.submit(SpawnAgent(run, name, ()), "agent:spawn:**")
        token = host.desk.mint(path(run, "a"), permissions_of_agent(path(run, "a"), ()))
        for operation in (
            FinishAgent(path(run, "b"), None),
            FinishAgent(run, None),
            ScheduleTask(path(run, "a"), TaskSpec("more")),
            SpawnAgent(path(run, "a"), "child", ()),
        ):
            with pytest.raises(Rejected) as refused:
                await host.runtime.submit(Message(token, operation))
            assert refused.value.code == "kernel.capability_denied"
        await host.runtime.submit(Message(token, FinishAgent(path(run, "a"), None)))


async def test_the_token_of_a_run_is_good_for_that_run_alone(world: World):
    async with world.open() as host:
        what = world.define([world.agent("a")])
        one, two = await host.begin(what), await host.begin(what)
        seen: list[str] = []
        original = host.desk.token_for

        def note(subject: str, permissions: tuple[str, ...]) -> str:
            if subject == one:
                seen.append(original(subject, permissions))
            return original(subject, permissions)

        host.desk.token_for = note  # type: ignore[method-assign]  # to hold the token in hand
        await host.orchestrator.execute(one)
        with pytest.raises(Rejected):
            await host.runtime.submit(Message(seen[-1], FinishAgent(two, None)))
        with pytest.raises(Rejected):
            await host.runtime.submit(Message(seen[-1], SpawnAgent(None, what.name, ())))


async def test_as_many_permissions_as_a_token_carries_and_no_more(world: World):
    def wide(number: int) -> list[dict]:
        return [world.agent("a", **needs(*[f"proc:run:tool-{n}" for n in range(number)]))]

    assert (await world.run(world.define(wide(95)))).met
    name = "n" * 200
    longest = world.agent(name, **needs(*[f"proc:run:{n:02}{'x' * 140}" for n in range(32)]))
    assert (await world.run(world.define([longest]))).met
    with pytest.raises(SpecError, match="96 different permissions"):
        world.define(wide(96))


async def test_permissions_too_long_for_a_token_are_refused_before_anything_starts(world: World):
    long = [f"proc:run:{'x' * 240}-{n}" for n in range(60)]
    with pytest.raises(SpecError, match="one token carries"):
        world.define([world.agent("a", **needs(*long))])


async def test_no_token_is_kept_for_what_has_ended(world: World):
    async with world.open() as host:
        await host.run(world.define([world.agent("a"), world.agent("b")]))
        assert not host.desk._minted


async def test_a_token_is_not_shown_by_what_holds_it(world: World):
    async with world.open() as host:
        token = host.desk.token_for("somebody", ("proc:run:git",))
        assert token not in repr(host.desk._minted)
        assert token == host.desk.token_for("somebody", ("proc:run:git",))
        assert token != host.desk.token_for("somebody", ("proc:run:gti",))
        host.desk.forget("somebody")
        assert token != host.desk.token_for("somebody", ("proc:run:git",))


async def test_a_definition_of_another_version_is_said_to_be_one(world: World):
    what = attrs.evolve(world.define([world.agent("a")]))
    assert type(what).decode(what.encode()) == what
