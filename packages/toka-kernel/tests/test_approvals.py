"""Approvals: one effect, once, with these arguments, in time, and not by the one who asks."""

from typing import Literal

import pytest
from msgspec import Raw, json

from toka.kernel import _decide_approvals, encode_body, snapshot
from toka.types import (
    CompleteTask,
    EntityId,
    ExpireApproval,
    Failure,
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


# Questions: an approval whose request has a form carries an answer

FORM = Raw(b'{"enum":["staging","production"]}')
STAGING = Raw(b'"staging"')


@pytest.fixture
def inquire(world, task, asker):
    def inquire(form=FORM, expires=100):
        request = RequestApproval(
            task, 1, "pay", digest(ARGUMENTS), "Where?", world.now + expires, form=form
        )
        return world.do(request, asker).body.approval

    return inquire


def asking(world, task, approval, **change):
    return effect(world, task, approval, **({"effect": "idempotent"} | change))


def test_an_answer_comes_with_the_approval_and_is_kept_until_it_is_used(world, task, inquire):
    approval = inquire()
    resolved = world.do(ResolveApproval(approval, "approve", "safer", STAGING))
    assert bytes(resolved.body.answer) == b'"staging"'
    said = world.state.approvals[approval].inquiry
    assert (bytes(said.answer), said.by, said.reason) == (b'"staging"', "boss", "safer")
    events = world.ask(world.finish(asking(world, task, approval), result=STAGING))
    assert [event.kind for event in events] == ["approval.consumed.v1", "step.completed.v1"]
    assert events[0].parents == (resolved.id,)
    assert len(world.state.approvals) == 0


@pytest.mark.parametrize(
    "answer",
    [b"null", b'"moon"', b"5", b'["staging"]', b"{", b"[" * 5_000, b'"' + b"x" * 70_000 + b'"'],
    ids=["none", "no choice", "number", "array", "no JSON", "deep", "long"],
)
def test_what_does_not_fit_the_form_is_no_answer(world, inquire, answer):
    approval = inquire()
    refused = world.refused(ResolveApproval(approval, "approve", answer=Raw(answer)))
    assert refused.code in ("kernel.answer_invalid", "kernel.limit_exceeded")
    world.do(ResolveApproval(approval, "approve", answer=STAGING))


def test_a_wrong_answer_is_told_what_is_wrong_with_it(world, inquire):
    form = Raw(b'{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]}')
    answer = ResolveApproval(inquire(form), "approve", answer=Raw(b'{"m":1}'))
    refused = world.refused(answer)
    assert refused.details["reasons"] == ["'n' is missing", "'m' is not asked for"]
    assert "'n' is missing; 'm' is not asked for" in refused.message


def test_a_no_carries_no_answer_and_neither_does_a_plain_yes(world, ask, inquire):
    cases: list[tuple[EntityId, Literal["approve", "deny"]]]
    cases = [(inquire(), "deny"), (ask(), "approve")]
    for approval, decision in cases:
        refused = world.refused(ResolveApproval(approval, decision, answer=STAGING))
        assert refused.code == "kernel.answer_invalid"
        world.do(ResolveApproval(approval, decision))


def test_what_was_answered_in_time_stays_answered(world, task, inquire):
    approval = inquire(expires=100)
    world.do(ResolveApproval(approval, "approve", answer=STAGING))
    world.now += 1_000
    world.do(world.finish(asking(world, task, approval)))


def test_a_no_is_used_up_by_the_step_that_failed_of_it(world, task, inquire, asker):
    approval = inquire()
    world.do(ResolveApproval(approval, "deny", "ask finance"))
    step = asking(world, task, approval, effect="none")
    assert world.refused(world.finish(step)).code == "kernel.approval_denied"
    failed = world.finish(step, failure=Failure("tools.person_declined", "No."))
    events = world.ask(failed, asker)
    assert [event.kind for event in events] == ["approval.consumed.v1", "step.failed.v1"]
    assert len(world.state.approvals) == 0


def test_a_no_lifts_no_taint(world, task, inquire, asker):
    world.do(world.finish(world.step(task), taint=("web:a",)), asker)
    approval = inquire()
    world.do(ResolveApproval(approval, "deny"))
    step = asking(world, task, approval, requires=(GUARDED,))
    failed = world.finish(step, failure=Failure("x", "No."))
    assert world.refused(failed, asker).code == "kernel.tainted"


def test_time_that_runs_out_is_nobodys_answer(world, task, inquire, asker):
    approval = inquire(expires=100)
    world.now += 100
    world.do(ExpireApproval(approval), asker)
    said = world.state.approvals[approval]
    assert (said.answer, said.inquiry.by, bytes(said.inquiry.answer)) == ("deny", "", b"null")
    failed = world.finish(asking(world, task, approval), failure=Failure("tools.timeout", "Late."))
    world.do(failed, asker)


def test_what_a_person_says_is_trusted_and_what_an_agent_says_is_not(world, root, task, inquire):
    other = world.child(root, "helper")
    said_by = {
        "human": world.claims("human", "approval:resolve:**"),
        other: world.claims(other, "approval:resolve:**"),
    }
    for subject, claims in said_by.items():
        approval = inquire()
        world.do(ResolveApproval(approval, "approve", answer=STAGING), claims)
        world.do(world.finish(asking(world, task, approval)))
        taint = world.state.task(task).taint
        assert taint == (() if subject == "human" else (f"answer:{other}",))


def test_an_answer_is_taken_with_an_outcome_and_not_with_a_start(world, task, inquire):
    approval = inquire()
    world.do(ResolveApproval(approval, "approve", answer=STAGING))
    step = StartStep(effect(world, task, approval))
    assert world.refused(step).code == "kernel.approval_differs"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"form": Raw(b'{"type":"text"}')}, "kernel.malformed_request"),
        ({"form": Raw(b"{")}, "kernel.malformed_request"),
        ({"form": Raw(b'{"title":"' + b"x" * 20_000 + b'","type":"string"}')}, None),
        ({"form": FORM, "on_expiry": "approve"}, "kernel.malformed_request"),
    ],
)
def test_a_form_is_well_formed(world, task, change, code):
    parts = {"name": "pay", "arguments": digest(b""), "question": "?", "expires": world.now + 1}
    refused = world.refused(RequestApproval(task, 1, **(parts | change)))
    assert refused.code == (code or "kernel.limit_exceeded")


def test_without_a_form_nothing_is_encoded_otherwise_than_before(world, ask):
    approval = ask()
    resolved = world.do(ResolveApproval(approval, "approve"))
    names = {"approval", "arguments", "expires", "fence", "name", "on_expiry", "question"}
    (asked,) = (each.body for each in world.log if each.kind == "approval.requested.v1")
    assert set(json.decode(encode_body(asked))) == names | {"shown", "task"}
    assert set(json.decode(encode_body(resolved.body))) == {
        *("approval", "decision", "reason", "task")
    }
    (kept,) = json.decode(snapshot(world.state).split(b"\n", 1)[1][32:])["approvals"].values()
    assert "inquiry" not in kept
