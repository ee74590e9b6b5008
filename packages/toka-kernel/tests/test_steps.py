"""Steps: their order, their starts, their outcomes, and what marks a task."""

import msgspec
import pytest

from toka.kernel import encode_body
from toka.types import (
    Amounts,
    Budget,
    Failure,
    ReleaseTask,
    RestartAgent,
    SendMessage,
    StartStep,
    StartTask,
    TerminateAgent,
)

GUARDED = "vault:read:key"


@pytest.mark.parametrize("effect", ["none", "read_only", "idempotent"])
def test_a_harmless_step_is_one_event(world, task, effect):
    events = world.ask(world.finish(world.step(task, effect=effect), result=msgspec.Raw(b"42")))
    assert [event.kind for event in events] == ["step.completed.v1"]
    assert bytes(events[0].body.result) == b"42"
    assert events[0].body.intent.name == "noop"


@pytest.mark.parametrize("effect", ["external", "privileged"])
def test_an_effect_on_the_world_must_be_started_first(world, task, effect):
    step = world.step(task, effect=effect)
    assert world.refused(world.finish(step)).code == "kernel.step_not_started"
    world.do(StartStep(step))
    assert world.do(world.finish(step)).body.intent is None


def test_a_no_op_step_is_small(world, task):
    event = world.do(world.finish(world.step(task)))
    assert len(encode_body(event.body)) <= 180


@pytest.mark.parametrize("ordinal", [0, 2, -1])
def test_only_the_next_step_of_a_path_is_due(world, task, ordinal):
    world.do(world.finish(world.step(task)))
    step = world.step(task, ordinal=ordinal)
    for operation in (StartStep(step), world.finish(step)):
        refused = world.refused(operation)
        assert refused.code == "kernel.step_out_of_order"
        assert refused.details["expected"] == 1


def test_paths_count_for_themselves(world, task):
    world.do(world.finish(world.step(task)))
    branch = world.do(world.finish(world.step(task, path="root/1:files/0")))
    deeper = world.do(world.finish(world.step(task, path="root/1:files/0/0:x/3")))
    trunk = world.do(world.finish(world.step(task)))
    assert branch.parents == trunk.parents == (world.log[-4].id,)
    assert deeper.parents == (branch.id,)


def test_a_failed_step_is_done(world, task):
    failure = Failure("tools.failed", "No such file.")
    event = world.do(world.finish(world.step(task), failure=failure))
    assert (event.kind, event.body.failure) == ("step.failed.v1", failure)
    assert world.step(task).ordinal == 1


@pytest.mark.parametrize(
    ("change", "differing"),
    [
        ({"name": "refund"}, "name"),
        ({"arguments": b'{"n":2}'}, "arguments"),
        ({"effect": "privileged"}, "effect"),
        ({"ordinal": 1}, "ordinal"),
        ({"requires": ("fs:read:/data/a",)}, "requires"),
        ({"estimate": Amounts(1)}, "estimate"),
    ],
)
def test_an_outcome_belongs_to_the_step_that_was_started(world, task, change, differing):
    started = {"name": "pay", "effect": "external", "arguments": b'{"n":1}', "ordinal": 0}
    world.start(task, **started)
    refused = world.refused(world.finish(world.step(task, **(started | change))))
    assert refused.code == "kernel.step_differs"
    assert refused.details["recorded"] == "pay"
    assert refused.details["given"] == change.get("name", "pay")
    assert refused.details["differing"] == [differing]


def test_a_step_is_not_started_twice_under_one_lease(world, task):
    step = world.start(task, effect="external")
    assert world.refused(StartStep(step)).code == "kernel.wrong_state"


def test_a_step_in_doubt_is_repeated_by_the_next_holder(world, task):
    world.start(task, effect="external", name="pay")
    world.do(ReleaseTask(task, 1, "crashed"))
    world.do(StartTask(task, "second", 1_000))
    step = world.step(task, effect="external", name="pay")
    assert world.refused(StartStep(world.step(task, name="other"))).code == "kernel.step_differs"
    assert world.do(StartStep(step)).kind == "step.repeated.v1"
    world.do(world.finish(step))


def test_a_step_in_doubt_may_be_finished_without_repeating_it(world, task):
    world.start(task, effect="external")
    world.do(ReleaseTask(task, 1, "crashed"))
    world.do(StartTask(task, "second", 1_000))
    world.do(world.finish(world.step(task, effect="external")))


def test_what_a_step_read_from_outside_marks_its_task(world, agent, task):
    careful = world.claims(agent, f"agent:act:{agent}", untainted=(GUARDED,))
    step = world.step(task, requires=(GUARDED,))
    assert world.kernel.authorize(world.state, StartStep(step), careful, world.now) is None
    world.do(world.finish(world.step(task), taint=("web:example.org",)), careful)
    refused = world.refused(StartStep(world.step(task, requires=(GUARDED,))), careful)
    assert (refused.code, refused.needed) == ("kernel.tainted", GUARDED)
    assert refused.details["taint"] == ["web:example.org"]


def test_taint_does_not_concern_what_is_granted_anyway(world, agent, task):
    plain = world.claims(agent, f"agent:act:{agent}", GUARDED)
    world.do(world.finish(world.step(task), taint=("web:example.org",)), plain)
    world.do(world.finish(world.step(task, requires=(GUARDED,))), plain)


def test_taint_outlives_an_attempt_and_marks_the_agent(world, root, agent, task):
    careful = world.claims(
        agent, f"agent:act:{agent}", untainted=(GUARDED, f"agent:message:{root}")
    )
    world.do(SendMessage(root, msgspec.Raw(b"1")), careful)
    world.do(world.finish(world.step(task), taint=("web:a",)), careful)
    world.do(ReleaseTask(task, 1, ""))
    world.do(StartTask(task, "second", 1_000))
    assert (
        world.refused(StartStep(world.step(task, requires=(GUARDED,))), careful).code
        == "kernel.tainted"
    )
    assert world.refused(SendMessage(root, msgspec.Raw(b"1")), careful).code == "kernel.tainted"


def test_labels_are_bounded_and_the_task_stays_tainted(world, task):
    for number in range(10):
        labels = tuple(f"web:{number}-{index}" for index in range(10))
        world.do(world.finish(world.step(task), taint=labels))
    assert len(world.state.task(task).taint) == 64


@pytest.mark.parametrize("change", [{"path": "p" * 1_025}, {"name": "n" * 257}])
def test_names_of_steps_are_bounded(world, task, change):
    assert world.refused(StartStep(world.step(task, **change))).code == "kernel.limit_exceeded"


def test_an_estimate_is_set_aside_and_settled(world):
    agent = world.root(budget=Budget(money=10))
    task = world.running(agent)
    step = world.start(task, estimate=Amounts(money=8))
    other = world.step(task, path="root/1", estimate=Amounts(money=3))
    assert world.refused(StartStep(other)).code == "kernel.budget_exhausted"
    world.do(world.finish(step, spent=Amounts(money=2)))
    account = world.state.agent(agent).account
    assert (account.available[0], account.reserved.money, account.spent.money) == (8, 0, 2)


def test_what_was_spent_is_recorded_though_it_was_too_much(world):
    agent = world.root(budget=Budget(money=10))
    task = world.running(agent)
    step = world.step(task, estimate=Amounts(money=11))
    asked = world.kernel.authorize(world.state, world.finish(step), world.boss, world.now)
    assert asked.code == "kernel.budget_exhausted"
    world.do(world.finish(step, spent=Amounts(money=30)))
    assert world.state.agent(agent).account.available[0] == -20
    cheap = world.step(task, estimate=Amounts(money=1))
    assert world.refused(StartStep(cheap)).details["available"] == -20
    world.do(world.finish(world.step(task)))


def test_a_restart_does_not_make_unread_what_was_read(world, root, agent, task):
    careful = world.claims(agent, untainted=(f"agent:message:{root}",))
    world.do(world.finish(world.step(task), taint=("web:a",)))
    world.do(TerminateAgent(agent, ""))
    world.do(RestartAgent(agent, ""))
    assert world.state.task(task).taint == ("web:a",)
    assert world.refused(SendMessage(root, msgspec.Raw(b"1")), careful).code == "kernel.tainted"
