"""For every operation: allowed with exactly its permission for that target, and not without."""

from collections.abc import Callable
from typing import get_args

import msgspec
import pytest

from toka.kernel import Rejection
from toka.types import (
    Amounts,
    AnyOperation,
    CancelTask,
    CompleteTask,
    CopyStep,
    EmitObservation,
    EventId,
    ExpireApproval,
    Extension,
    FailTask,
    Failure,
    FinishAgent,
    FinishStep,
    OpenHost,
    Operation,
    ReleaseTask,
    RenewLease,
    RequestApproval,
    ReserveBudget,
    ResolveApproval,
    RestartAgent,
    ResumeAgent,
    RetryTask,
    ScheduleTask,
    SendMessage,
    SettleBudget,
    SpawnAgent,
    StartStep,
    StartTask,
    SuspendAgent,
    TaskId,
    TaskSpec,
    TerminateAgent,
    agent_of,
    digest,
)

LEASE = 1_000_000_000
FAILURE = Failure("test.failed", "It failed.")
NULL = msgspec.Raw(b"null")


def approval(w, task, expires: int = 10):
    request = RequestApproval(task, 1, "pay", digest(b"{}"), "May I?", w.now + expires)
    asking = w.claims(agent_of(task), f"agent:act:{agent_of(task)}")
    return w.do(request, asking).body.approval


def expired(w, task):
    identifier = approval(w, task)
    w.now += 10
    return identifier


CASES: dict[str, tuple[Callable[..., AnyOperation], str]] = {
    "SpawnAgent": (lambda _w, a, _t: SpawnAgent(a, "kid"), "agent:spawn:{agent}/kid"),
    "SuspendAgent": (lambda _w, a, _t: SuspendAgent(a, ""), "agent:control:{agent}"),
    "ResumeAgent": (
        lambda w, a, _t: (w.do(SuspendAgent(a, "")), ResumeAgent(a))[1],
        "agent:control:{agent}",
    ),
    "RestartAgent": (
        lambda w, a, _t: (w.do(TerminateAgent(a, "")), RestartAgent(a, ""))[1],
        "agent:control:{agent}",
    ),
    "FinishAgent": (lambda _w, a, _t: FinishAgent(a, FAILURE), "agent:act:{agent}"),
    "TerminateAgent": (lambda _w, a, _t: TerminateAgent(a, ""), "agent:control:{agent}"),
    "ScheduleTask": (lambda _w, a, _t: ScheduleTask(a, TaskSpec("x")), "task:schedule:{agent}"),
    "StartTask": (lambda w, a, _t: StartTask(w.queued(a), "w", LEASE), "agent:act:{agent}"),
    "RenewLease": (lambda _w, _a, t: RenewLease(t, 1, LEASE), "agent:act:{agent}"),
    "ReleaseTask": (lambda _w, _a, t: ReleaseTask(t, 1, ""), "agent:act:{agent}"),
    "RetryTask": (lambda _w, _a, t: RetryTask(t, 1, FAILURE, 0), "agent:act:{agent}"),
    "CompleteTask": (lambda _w, _a, t: CompleteTask(t, 1), "agent:act:{agent}"),
    "FailTask": (lambda _w, _a, t: FailTask(t, 1, FAILURE), "agent:act:{agent}"),
    "CancelTask": (lambda _w, _a, t: CancelTask(t, ""), "task:cancel:{agent}"),
    "StartStep": (lambda w, _a, t: StartStep(w.step(t)), "agent:act:{agent}"),
    "FinishStep": (lambda w, _a, t: w.finish(w.step(t)), "agent:act:{agent}"),
    "CopyStep": (
        lambda _w, _a, t: CopyStep(t, 1, "root", 0, "noop", EventId("01JEORIGIN")),
        "agent:act:{agent}",
    ),
    "EmitObservation": (lambda _w, a, _t: EmitObservation(a, "x", NULL), "agent:act:{agent}"),
    "SendMessage": (lambda _w, a, _t: SendMessage(a, NULL), "agent:message:{agent}"),
    "RequestApproval": (
        lambda w, _a, t: RequestApproval(t, 1, "pay", digest(b""), "May I?", w.now + 1),
        "agent:act:{agent}",
    ),
    "ResolveApproval": (
        lambda w, _a, t: ResolveApproval(approval(w, t), "approve"),
        "approval:resolve:{agent}",
    ),
    "ExpireApproval": (lambda w, _a, t: ExpireApproval(expired(w, t)), "agent:act:{agent}"),
    "ReserveBudget": (lambda _w, a, _t: ReserveBudget(a, Amounts(1)), "agent:act:{agent}"),
    "SettleBudget": (
        lambda w, a, _t: SettleBudget(
            w.do(ReserveBudget(a, Amounts(1))).body.reservation, Amounts(1)
        ),
        "agent:act:{agent}",
    ),
    "OpenHost": (lambda _w, _a, _t: OpenHost("me"), "runtime:host:vault"),
}


def test_every_operation_has_a_case():
    assert set(CASES) == {kind.__name__ for kind in get_args(Operation)}


@pytest.mark.parametrize("name", CASES)
def test_an_operation_is_allowed_with_exactly_its_permission(world, agent, task, name):
    make, permission = CASES[name]
    operation = make(world, agent, task)
    world.do(operation, world.claims("somebody", permission.format(agent=agent)))


@pytest.mark.parametrize("name", CASES)
def test_an_operation_is_denied_with_the_permission_for_another_target(world, agent, task, name):
    make, permission = CASES[name]
    operation = make(world, agent, task)
    needed = permission.format(agent=agent)
    refused = world.refused(operation, world.claims("somebody", needed + "x"))
    assert (refused.code, refused.needed) == ("kernel.capability_denied", needed)


@pytest.mark.parametrize("name", CASES)
def test_an_operation_is_denied_with_every_other_action_on_the_target(world, agent, task, name):
    make, permission = CASES[name]
    operation = make(world, agent, task)
    needed = permission.format(agent=agent)
    others = {case.format(agent=agent) for _, case in CASES.values()} - {needed}
    assert world.refused(operation, world.claims("somebody", *sorted(others))).needed == needed


@pytest.mark.parametrize("name", CASES)
def test_asking_beforehand_gives_the_same_answer_and_changes_nothing(world, agent, task, name):
    operation = CASES[name][0](world, agent, task)
    before = world.state.digest()
    assert world.kernel.authorize(world.state, operation, world.boss, world.now) is None
    assert world.state.digest() == before
    assert not isinstance(world.ask(operation), Rejection)


def test_a_root_needs_permission_for_its_name(world):
    named = world.claims("somebody", "agent:spawn:audit")
    world.do(SpawnAgent(None, "audit"), named)
    assert world.refused(SpawnAgent(None, "other"), named).needed == "agent:spawn:other"


@pytest.mark.parametrize("finish", [False, True])
def test_a_step_needs_everything_it_requires(world, agent, task, finish):
    step = world.step(task, requires=("fs:read:/data/a", "fs:read:/data/b"))
    operation = world.finish(step) if finish else StartStep(step)
    half = world.claims(agent, f"agent:act:{agent}", "fs:read:/data/a")
    assert world.refused(operation, half).needed == "fs:read:/data/b"
    world.do(operation, world.claims(agent, f"agent:act:{agent}", "fs:read:/data/**"))


def test_a_permission_that_cannot_be_asked_for_is_refused(world, task):
    refused = world.refused(StartStep(world.step(task, requires=("read everything",))))
    assert refused.code == "kernel.malformed_request"


def test_what_does_not_exist_is_not_told_to_whoever_has_no_permission(world):
    nobody = world.claims("nobody", "agent:act:elsewhere")
    elsewhere = TaskId("x#0")
    assert world.refused(CompleteTask(elsewhere, 1), nobody).code == "kernel.capability_denied"
    assert world.refused(CompleteTask(elsewhere, 1)).code == "kernel.unknown_agent"


def test_an_opcode_without_a_family_is_refused(world):
    refused = world.refused(Extension("ledger.mint.v1", "ledger:mint:gold", NULL))
    assert refused.code == "kernel.unknown_opcode"


def test_what_is_no_operation_is_refused(world):
    assert world.refused("spawn").code == "kernel.unknown_opcode"


@pytest.mark.parametrize("kind", [StartStep, FinishStep])
def test_an_outcome_of_a_started_step_is_recorded_whatever_became_of_the_permissions(
    world, agent, task, kind
):
    step = world.start(task, requires=("fs:read:/data/a",))
    poorer = world.claims(agent, f"agent:act:{agent}")
    if kind is FinishStep:
        world.do(world.finish(step), poorer)
    else:
        other = world.step(task, path="root/1", requires=("fs:read:/data/a",))
        assert world.refused(StartStep(other), poorer).needed == "fs:read:/data/a"
