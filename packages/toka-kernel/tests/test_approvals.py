"""Approvals: one effect, once, with these arguments, in time, and not by the one who asks."""

from typing import Literal

import pytest
from msgspec import Raw

from toka.kernel import _decide_approvals
from toka.types import (
    CompleteTask,
    EntityId,
    ExpireApproval,
    ReleaseTask,
    RequestApproval,
    ResolveApproval,
    StartStep,
    StartTask,
    TerminateAgent,
    digest,
)

GUARDED = "vault:read:key"
ARGUMENTS = b'{"amount":5}'


@pytest.fixture
def asker(world, agent):
    return world.claims(agent, f"agent:act:{agent}", "approval:resolve:**", untainted=(GUARDED,))


@pytest.fixture
def ask(world, task, asker):
    def ask(expires=100, on_expiry: Literal["approve", "deny"] = "deny"):
        request = RequestApproval(
            task, 1, "pay", digest(ARGUMENTS), "Pay 5?", world.now + expires, on_expiry
        )
        return world.do(request, asker).body.approval

    return ask


def effect(world, task, approval, **change):
    parts = {"name": "pay", "effect": "external", "arguments": ARGUMENTS}
    return world.step(task, **(parts | change), approval=approval)


def test_an_approved_effect_happens_once(world, task, ask, asker):
    approval = ask()
    assert world.refused(StartStep(effect(world, task, approval))).code == "kernel.approval_pending"
    world.do(ResolveApproval(approval, "approve", "fine"))
    events = world.ask(StartStep(effect(world, task, approval)), asker)
    assert [event.kind for event in events] == ["approval.consumed.v1", "step.started.v1"]
    world.do(world.finish(effect(world, task, approval)), asker)
    assert world.refused(StartStep(effect(world, task, approval))).code == "kernel.approval_unknown"


def test_an_approval_is_consumed_with_the_outcome_where_that_is_all_there_is(world, task, ask):
    approval = ask()
    world.do(ResolveApproval(approval, "approve"))
    events = world.ask(world.finish(effect(world, task, approval, effect="none")))
    assert [event.kind for event in events] == ["approval.consumed.v1", "step.completed.v1"]
    assert len(world.state.approvals) == 0


def test_causes_lead_from_the_effect_to_the_answer_and_the_question(world, task, ask):
    approval = ask()
    asked = world.log[-1]
    resolved = world.do(ResolveApproval(approval, "approve"))
    consumed, started = world.ask(StartStep(effect(world, task, approval)))
    assert resolved.parents == (asked.id,)
    assert consumed.parents == (resolved.id,)
    assert consumed.id in started.parents


@pytest.mark.parametrize(
    "change", [{"arguments": b'{"amount":50}'}, {"arguments": b'{"amount": 5}'}, {"name": "refund"}]
)
def test_an_approval_is_good_for_no_other_call(world, task, ask, change):
    approval = ask()
    world.do(ResolveApproval(approval, "approve"))
    step = effect(world, task, approval, **change)
    assert world.refused(StartStep(step)).code == "kernel.approval_differs"


def test_an_approval_is_good_for_no_other_task(world, agent, ask):
    approval = ask()
    world.do(ResolveApproval(approval, "approve"))
    other = world.running(agent)
    assert (
        world.refused(StartStep(effect(world, other, approval))).code == "kernel.approval_differs"
    )


def test_a_denied_effect_does_not_happen(world, task, ask):
    approval = ask()
    world.do(ResolveApproval(approval, "deny", "too much"))
    assert world.refused(StartStep(effect(world, task, approval))).code == "kernel.approval_denied"


def test_an_approval_that_was_given_expires_unused(world, task, ask):
    approval = ask(expires=100)
    world.do(ResolveApproval(approval, "approve"))
    world.now += 100
    assert world.refused(StartStep(effect(world, task, approval))).code == "kernel.approval_expired"


def test_nobody_answers_after_the_time_is_over(world, ask):
    approval = ask(expires=100)
    world.now += 100
    refused = world.refused(ResolveApproval(approval, "approve"))
    assert refused.code == "kernel.approval_expired"


@pytest.mark.parametrize("outcome", ["approve", "deny"])
def test_the_stated_outcome_applies_when_nobody_answers(world, task, ask, asker, outcome):
    approval = ask(expires=100, on_expiry=outcome)
    assert world.refused(ExpireApproval(approval), asker).code == "kernel.approval_pending"
    world.now += 100
    world.do(ExpireApproval(approval), asker)
    operation = StartStep(effect(world, task, approval))
    if outcome == "approve":
        world.do(operation)
    else:
        assert world.refused(operation).code == "kernel.approval_denied"


def test_an_answer_is_final(world, ask):
    approval = ask()
    world.do(ResolveApproval(approval, "deny"))
    for again in (ResolveApproval(approval, "approve"), ExpireApproval(approval)):
        assert world.refused(again).code == "kernel.approval_answered"


def test_the_one_who_asks_does_not_answer(world, agent, ask, asker):
    approval = ask()
    below = world.claims(f"{agent}/kid", "approval:resolve:**")
    for resolver in (asker, below):
        refused = world.refused(ResolveApproval(approval, "approve"), resolver)
        assert refused.code == "kernel.approval_self"
    world.do(ResolveApproval(approval, "approve"), world.claims("human", "approval:resolve:**"))


def test_an_approval_lifts_the_taint_for_its_one_call(world, task, ask, asker):
    world.do(world.finish(world.step(task), taint=("web:a",)), asker)
    step = {"requires": (GUARDED,)}
    assert (
        world.refused(StartStep(effect(world, task, None, **step)), asker).code == "kernel.tainted"
    )
    approval = ask()
    world.do(ResolveApproval(approval, "approve"))
    world.do(StartStep(effect(world, task, approval, **step)), asker)


def test_an_approval_replaces_no_permission(world, task, ask, asker):
    approval = ask()
    world.do(ResolveApproval(approval, "approve"))
    step = effect(world, task, approval, requires=("fs:write:/etc/passwd",))
    assert world.refused(StartStep(step), asker).code == "kernel.capability_denied"


def test_a_task_waits_while_it_asks(world, agent, ask):
    approval = ask()
    assert world.state.agent(agent).phase == "waiting"
    world.do(ResolveApproval(approval, "approve"))
    assert world.state.agent(agent).phase == "running"


def test_a_question_survives_a_change_of_hands(world, agent, task, ask):
    approval = ask()
    world.do(ReleaseTask(task, 1, "shutting down"))
    assert world.state.agent(agent).phase == "ready"
    world.do(StartTask(task, "second", 1_000))
    assert world.state.agent(agent).phase == "waiting"
    world.do(ResolveApproval(approval, "approve"))
    world.do(StartStep(effect(world, task, approval)))


@pytest.mark.parametrize(
    "end",
    [lambda t, _: CompleteTask(t, 1), lambda _, a: TerminateAgent(a, "")],
    ids=["complete", "terminate"],
)
def test_questions_end_with_their_task(world, agent, task, ask, end):
    approval = ask()
    world.do(end(task, agent))
    assert len(world.state.approvals) == 0
    refused = world.refused(ResolveApproval(approval, "approve"))
    assert refused.code == "kernel.approval_unknown"


def test_a_question_that_was_never_asked_is_unknown(world, task):
    nothing = EntityId("01JX9999999999999999999999")
    for operation in (
        ResolveApproval(nothing, "approve"),
        ExpireApproval(nothing),
        StartStep(effect(world, task, nothing)),
    ):
        assert world.refused(operation).code == "kernel.approval_unknown"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"arguments": b"short"}, "kernel.malformed_request"),
        ({"expires": 0}, "kernel.approval_expired"),
        ({"question": " "}, "kernel.limit_exceeded"),
        ({"name": ""}, "kernel.limit_exceeded"),
        ({"question": "?" * 5_000}, "kernel.limit_exceeded"),
        ({"shown": Raw(b'{"amount":1}')}, "kernel.malformed_request"),
        ({"shown": Raw(b'"' + b"x" * 65_536 + b'"')}, "kernel.limit_exceeded"),
    ],
)
def test_a_question_is_well_formed(world, task, change, code):
    parts = {"name": "pay", "arguments": digest(b""), "question": "?", "expires": world.now + 1}
    assert world.refused(RequestApproval(task, 1, **(parts | change))).code == code


def test_what_is_shown_is_what_the_answer_is_bound_to(world, task):
    shown = Raw(ARGUMENTS)
    request = RequestApproval(
        task, 1, "pay", digest(ARGUMENTS), "?", world.now + 1, "deny", shown=shown
    )
    assert bytes(world.do(request).body.shown) == ARGUMENTS


def test_questions_are_bounded(world, task, ask, monkeypatch):
    monkeypatch.setattr(_decide_approvals, "MAX_OPEN_APPROVALS", 1)
    ask()
    request = RequestApproval(task, 1, "pay", digest(b""), "?", world.now + 1)
    assert world.refused(request).code == "kernel.limit_exceeded"
