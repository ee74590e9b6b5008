"""Queues, leases and fences."""

import pytest

from toka.kernel import TASK_TRANSITIONS, _decide_tasks
from toka.types import (
    MAX_QUEUED_TASKS,
    Amounts,
    Budget,
    CancelTask,
    CompleteTask,
    FailTask,
    Failure,
    OpenHost,
    ReleaseTask,
    RenewLease,
    RequestApproval,
    RetryTask,
    ScheduleTask,
    StartStep,
    StartTask,
    TaskId,
    TaskSpec,
    digest,
)

FAILURE = Failure("test.failed", "It failed.")
LEASE = 1_000


def test_a_task_is_started_once_while_its_lease_is_good(world, agent):
    task = world.queued(agent)
    world.do(StartTask(task, "first", LEASE))
    refused = world.refused(StartTask(task, "second", LEASE))
    assert refused.code == "kernel.lease_held"
    assert refused.details["holder"] == "first"
    assert refused.details["expires"] == world.now + LEASE
    assert "first" in refused.message


def test_a_lease_that_has_expired_is_taken_over_under_a_higher_fence(world, agent):
    task = world.queued(agent)
    world.do(StartTask(task, "first", LEASE))
    world.now += LEASE
    assert world.do(StartTask(task, "second", LEASE)).body.fence == 2
    assert world.refused(CompleteTask(task, 1)).code == "kernel.stale_fence"
    world.do(CompleteTask(task, 2))


def test_a_lease_lasts_until_the_nanosecond_that_it_names(world, agent):
    task = world.queued(agent)
    world.do(StartTask(task, "first", LEASE))
    world.now += LEASE - 1
    assert world.refused(StartTask(task, "second", LEASE)).code == "kernel.lease_held"


def test_the_same_holder_may_start_again_and_gets_a_new_fence(world, agent):
    task = world.queued(agent)
    world.do(StartTask(task, "first", LEASE))
    assert world.do(StartTask(task, "first", LEASE)).body.fence == 2


def test_a_renewed_lease_is_respected_for_longer(world, agent):
    task = world.queued(agent)
    world.do(StartTask(task, "first", LEASE))
    world.now += LEASE
    world.do(RenewLease(task, 1, LEASE))
    world.now += LEASE - 1
    assert world.refused(StartTask(task, "second", LEASE)).code == "kernel.lease_held"


def test_a_new_host_makes_every_earlier_lease_void(world, agent):
    world.open()
    task = world.running(agent, "first")
    world.do(OpenHost("next"))
    for stale in (
        CompleteTask(task, 1),
        RenewLease(task, 1, LEASE),
        world.finish(world.step(task)),
    ):
        assert world.refused(stale).code == "kernel.stale_fence"
    assert world.do(StartTask(task, "second", LEASE)).body.epoch == 2
    world.do(CompleteTask(task, 2))


@pytest.mark.parametrize(
    "make",
    [
        lambda _, t: RenewLease(t, 1, LEASE),
        lambda _, t: ReleaseTask(t, 1, ""),
        lambda _, t: RetryTask(t, 1, FAILURE, 0),
        lambda _, t: CompleteTask(t, 1),
        lambda _, t: FailTask(t, 1, FAILURE),
        lambda w, t: StartStep(w.step(t, fence=1)),
        lambda w, t: w.finish(w.step(t, fence=1)),
        lambda w, t: RequestApproval(t, 1, "pay", digest(b""), "May I?", w.now + 1),
    ],
    ids=["renew", "release", "retry", "complete", "fail", "start", "finish", "ask"],
)
def test_everything_under_an_old_fence_is_refused(world, task, make):
    world.do(ReleaseTask(task, 1, "elsewhere"))
    world.do(StartTask(task, "second", LEASE))
    refused = world.refused(make(world, task))
    assert refused.code == "kernel.stale_fence"
    assert refused.details["current"] == 2


@pytest.mark.parametrize(
    "make",
    [
        lambda _, t: CompleteTask(t, 0),
        lambda _, t: FailTask(t, 0, FAILURE),
        lambda _, t: RetryTask(t, 0, FAILURE, 0),
        lambda _, t: RenewLease(t, 0, LEASE),
        lambda _, t: ReleaseTask(t, 0, ""),
        lambda w, t: w.finish(w.step(t)),
    ],
    ids=["complete", "fail", "retry", "renew", "release", "finish"],
)
def test_a_queued_task_has_no_lease_to_act_under(world, agent, make):
    task = world.queued(agent)
    assert world.refused(make(world, task)).code == "kernel.wrong_state"


def test_a_released_task_goes_on_where_it_was(world, task):
    world.do(world.finish(world.step(task)))
    world.do(ReleaseTask(task, 1, "shutting down"))
    world.do(StartTask(task, "second", LEASE))
    assert world.step(task).ordinal == 1
    world.do(world.finish(world.step(task)))


def test_a_retried_task_begins_again_when_it_is_due(world, task):
    world.do(world.finish(world.step(task)))
    world.do(RetryTask(task, 1, FAILURE, world.now + 10))
    assert world.refused(StartTask(task, "me", LEASE)).code == "kernel.too_early"
    world.now += 10
    assert world.do(StartTask(task, "me", LEASE)).body.attempt == 2
    assert world.step(task).ordinal == 0


@pytest.mark.parametrize(
    "make", [CancelTask, lambda t, _: CompleteTask(t, 1)], ids=["cancel", "complete"]
)
def test_a_task_that_has_ended_is_known_to_have_ended(world, task, make):
    world.do(CompleteTask(task, 1))
    refused = world.refused(make(task, ""))
    assert (refused.code, refused.details["state"]) == ("kernel.wrong_state", "ended")


@pytest.mark.parametrize("number", ["1", "01", "-1", "x", "", "1 "])
def test_a_task_that_never_was_is_unknown(world, agent, number):
    world.queued(agent)
    world.do(CancelTask(world.queued(agent), ""))
    code = world.refused(CancelTask(TaskId(f"{agent}#{number}"), "")).code
    assert code == ("kernel.wrong_state" if number == "1" else "kernel.unknown_task")


def test_a_task_is_cancelled_whoever_holds_it(world, task):
    world.do(CancelTask(task, "not wanted"))
    assert world.refused(world.finish(world.step(task, fence=1))).code == "kernel.wrong_state"


def test_a_task_with_a_step_in_doubt_cannot_be_completed_but_can_fail(world, task):
    world.start(task, name="pay")
    refused = world.refused(CompleteTask(task, 1))
    assert refused.code == "kernel.wrong_state"
    assert refused.details["step"] == "pay"
    world.do(FailTask(task, 1, FAILURE))


def test_ending_a_task_returns_what_its_steps_had_set_aside(world):
    agent = world.root(budget=Budget(money=10))
    task = world.running(agent)
    world.start(task, estimate=Amounts(money=7))
    assert world.state.agent(agent).account.available[0] == 3
    world.do(RetryTask(task, 1, FAILURE, 0))
    assert world.state.agent(agent).account.available[0] == 10


@pytest.mark.parametrize("lease", [0, -1, 86_400_000_000_001])
def test_a_lease_has_a_sensible_length(world, agent, lease):
    task = world.queued(agent)
    assert world.refused(StartTask(task, "me", lease)).code == "kernel.limit_exceeded"


@pytest.mark.parametrize("holder", ["", "  ", "x" * 257])
def test_a_holder_has_a_name(world, agent, holder):
    task = world.queued(agent)
    assert world.refused(StartTask(task, holder, LEASE)).code == "kernel.limit_exceeded"


def test_a_queue_is_bounded(world, agent, monkeypatch):
    assert MAX_QUEUED_TASKS == 10_000
    monkeypatch.setattr(_decide_tasks, "MAX_QUEUED_TASKS", 3)
    tasks = [world.running(agent) for _ in range(3)]
    world.do(FailTask(tasks[0], 1, FAILURE))
    world.queued(agent)
    world.queued(agent)
    refused = world.refused(ScheduleTask(agent, TaskSpec("one too many")))
    assert (refused.code, refused.details["limit"]) == ("kernel.limit_exceeded", 3)


def test_the_causes_of_a_task_are_a_chain(world, agent):
    task = world.running(agent)
    world.do(world.finish(world.step(task)))
    world.do(CompleteTask(task, 1))
    scheduled, started, step, completed = world.log[-4:]
    assert started.parents == (scheduled.id,)
    assert step.parents == (started.id,)
    assert completed.parents == (step.id,)


def test_every_phase_of_a_task_has_a_row():
    assert set(TASK_TRANSITIONS) == {"queued", "running", "failed", "cancelled"}
