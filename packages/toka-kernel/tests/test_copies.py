"""Copied steps: an earlier run's outcome stands for one of this run's steps."""

import pytest

from toka.kernel import encode_body
from toka.types import (
    AgentId,
    Amounts,
    Budget,
    CopyStep,
    EventId,
    SendMessage,
    SpawnAgent,
    StartStep,
    SuspendAgent,
    TerminateAgent,
)

EARLIER = AgentId("01JXEAR1ER0000000000000RAN")
ORIGIN = EventId("01JEORIGIN")


def copy(world, task, *, path="root", ordinal=None, fence=None, **more):
    step = world.step(task, path=path, ordinal=ordinal, fence=fence)
    return CopyStep(task, step.fence, step.path, step.ordinal, "fetch", ORIGIN, **more)


def test_a_copy_is_one_small_event_caused_by_its_origin(world, task):
    before = world.state.task(task)
    event = world.do(copy(world, task))
    assert event.kind == "step.copied.v1"
    assert event.parents == (before.cause, ORIGIN)
    assert len(encode_body(event.body)) <= 160
    later = world.do(world.finish(world.step(task)))
    assert (later.body.ordinal, later.parents) == (1, (event.id,))


def test_a_copy_charges_nobody(world, agent):
    paying = world.child(agent, "poor", budget=Budget(money=1, calls=0))
    task = world.running(paying)
    world.do(copy(world, task))
    account = world.state.agent(paying).account
    assert (account.spent, account.reserved) == (Amounts(), Amounts())


def test_the_taint_of_a_copied_outcome_is_kept(world, agent, task):
    world.do(copy(world, task, taint=("tool:web",)))
    assert world.state.task(task).taint == ("tool:web",)
    assert world.state.agent(agent).tainted
    guarded = world.claims(agent, f"agent:act:{agent}", untainted=("fs:read:/data/**",))
    step = world.step(task, requires=("fs:read:/data/a",))
    assert world.refused(world.finish(step), guarded).code == "kernel.tainted"


def test_only_a_family_that_was_spawned_to_copy_may(world):
    task = world.running(world.root())
    assert world.refused(copy(world, task)).code == "kernel.nothing_to_copy"


@pytest.mark.parametrize("ordinal", [1, -1])
def test_a_copy_takes_the_next_place_of_its_path(world, task, ordinal):
    refused = world.refused(copy(world, task, ordinal=ordinal))
    assert (refused.code, refused.details["expected"]) == ("kernel.step_out_of_order", 0)


def test_nothing_is_copied_under_an_older_fence(world, task):
    assert world.refused(copy(world, task, fence=0)).code == "kernel.stale_fence"


def test_nothing_stands_for_a_step_that_has_been_started(world, task):
    world.do(StartStep(world.step(task, effect="external")))
    assert world.refused(copy(world, task)).code == "kernel.wrong_state"


def test_a_suspended_agent_copies_nothing(world, agent, task):
    world.do(SuspendAgent(agent, ""))
    assert world.refused(copy(world, task)).code == "kernel.wrong_state"


@pytest.mark.parametrize(
    "bad",
    [
        {"path": ""},
        {"path": "x" * 2_000},
        {"name": " "},
        {"origin": EventId("")},
        {"origin": EventId("x" * 65)},
        {"taint": ("x" * 513,)},
        {"taint": tuple(map(str, range(65)))},
    ],
)
def test_a_copy_that_says_too_much_or_nothing_is_refused(world, task, bad):
    parts = {"path": "root", "ordinal": 0, "name": "fetch", "origin": ORIGIN, **bad}
    refused = world.refused(CopyStep(task, 1, **parts))
    assert refused.code == "kernel.limit_exceeded"


def test_taking_over_takes_the_right_to_read_it(world):
    spawn = SpawnAgent(None, "run", copies_from=EARLIER)
    starter = world.claims("starter", "agent:spawn:run")
    refused = world.refused(spawn, starter)
    assert (refused.code, refused.needed) == (
        "kernel.capability_denied",
        f"event:read:{EARLIER}/**",
    )
    one = world.claims("one", "agent:spawn:run", f"event:read:{EARLIER}/inventory")
    assert world.refused(spawn, one).code == "kernel.capability_denied"
    reader = world.claims("reader", f"event:read:{EARLIER}/**")
    assert world.refused(spawn, reader).needed == "agent:spawn:run"
    world.do(spawn, world.claims("both", "agent:spawn:run", f"event:read:{EARLIER}/**"))


def test_a_run_that_goes_on_cannot_be_taken_over(world, root):
    spawn = SpawnAgent(None, "run", copies_from=root)
    assert world.refused(spawn).code == "kernel.wrong_state"
    world.do(TerminateAgent(root, ""))
    assert world.do(spawn).body.copies_from == root


@pytest.mark.parametrize("source", ["", "*", "**", f"{EARLIER}/inventory", EARLIER.lower()])
def test_outcomes_are_taken_over_from_a_root(world, source):
    spawn = SpawnAgent(None, "other", copies_from=AgentId(source))
    assert world.refused(spawn).code == "kernel.malformed_request"


def test_outcomes_are_taken_over_by_a_root(world, root):
    spawn = SpawnAgent(root, "other", copies_from=EARLIER)
    assert world.refused(spawn).code == "kernel.malformed_request"


def test_copying_is_replayed(world, agent, task):
    world.do(copy(world, task, taint=("tool:web",), failed=True))
    world.do(copy(world, task, path="root/0:files/1"))
    world.do(SendMessage(agent, world.step(task).arguments))
    assert world.replayed().digest() == world.state.digest()
