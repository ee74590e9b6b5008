"""What is too long, too much or out of place is refused, and a log with a gap is noticed."""

import msgspec
import pytest

from toka.kernel import EMPTY_STATE, ReplayError
from toka.types import (
    Amounts,
    Budget,
    CompleteTask,
    FailTask,
    Failure,
    FinishAgent,
    ReleaseTask,
    ReserveBudget,
    RetryTask,
    SettleBudget,
    SpawnAgent,
    StartStep,
    StartTask,
    SuspendAgent,
    TerminateAgent,
)

TOO_MUCH = Amounts(money=(1 << 40) + 1)
FAILURES = [
    Failure("", "It failed."),
    Failure("c" * 257, "It failed."),
    Failure("code", "m" * 65_537),
    Failure("code", "It failed.", msgspec.Raw(b'"' + b"d" * 1_048_576 + b'"')),
]


@pytest.mark.parametrize("failure", FAILURES, ids=["blank", "code", "message", "details"])
def test_failures_are_bounded(world, agent, task, failure):
    for operation in (
        FailTask(task, 1, failure),
        RetryTask(task, 1, failure, 0),
        FinishAgent(agent, failure),
        world.finish(world.step(task), failure=failure),
    ):
        assert world.refused(operation).code == "kernel.limit_exceeded"


def test_amounts_are_bounded(world, agent, task):
    reservation = world.do(ReserveBudget(agent, Amounts(1))).body.reservation
    for operation in (
        SpawnAgent(agent, "rich", budget=Budget(money=(1 << 40) + 1)),
        ReserveBudget(agent, TOO_MUCH),
        SettleBudget(reservation, TOO_MUCH),
        StartStep(world.step(task, estimate=TOO_MUCH)),
        world.finish(world.step(task), spent=TOO_MUCH),
    ):
        assert world.refused(operation).code == "kernel.limit_exceeded"


@pytest.mark.parametrize("labels", [("x",) * 65, ("x" * 513,)], ids=["many", "long"])
def test_labels_are_bounded(world, task, labels):
    operation = world.finish(world.step(task), taint=labels)
    assert world.refused(operation).code == "kernel.limit_exceeded"


def test_what_a_step_requires_is_bounded(world, task):
    step = world.step(task, requires=("fs:read:/data/a",) * 101)
    assert world.refused(StartStep(step)).code == "kernel.limit_exceeded"


def test_what_a_step_is_given_is_bounded(world, task):
    step = world.step(task, arguments=b'"' + b"x" * 16_777_216 + b'"')
    assert world.refused(world.finish(step)).code == "kernel.limit_exceeded"


def test_permissions_of_a_child_are_bounded_together(world, agent):
    half = ("fs:read:/data/a",) * 60
    operation = SpawnAgent(agent, "kid", half, untainted=half)
    assert world.refused(operation).code == "kernel.limit_exceeded"


@pytest.mark.parametrize("make", [SuspendAgent, TerminateAgent])
def test_reasons_are_bounded(world, agent, make):
    assert world.refused(make(agent, "r" * 4_097)).code == "kernel.limit_exceeded"


def test_a_gap_in_a_log_raises_a_replay_error_or_nothing(world, root, agent, task):
    world.start(task, effect="external")
    world.do(ReleaseTask(task, 1, ""))
    world.do(StartTask(task, "second", 1_000))
    world.do(world.finish(world.step(task, effect="external"), spent=Amounts(3)))
    world.do(CompleteTask(task, 2))
    world.do(FinishAgent(agent))
    world.do(TerminateAgent(root, ""))
    noticed = {gap.kind for gap in world.log if not replays_without(world, gap)}
    assert {"agent.spawned.v1", "task.scheduled.v1", "step.started.v1"} <= noticed


def replays_without(world, gap):
    state = EMPTY_STATE
    try:
        for event in world.log:
            if event is not gap:
                state = world.kernel.evolve(state, event)
    except ReplayError:
        return False
    return True


def test_an_event_is_not_applied_to_a_state_that_lacks_what_it_names(world, agent):
    with pytest.raises(ReplayError) as caught:
        world.kernel.evolve(EMPTY_STATE, world.log[-1])
    assert caught.value.details["stream"] == agent
