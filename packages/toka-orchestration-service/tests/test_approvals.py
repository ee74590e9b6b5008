"""Questions that wait for a person, over HTTP."""

import pytest

pytestmark = pytest.mark.anyio


async def asked(served) -> tuple[str, dict]:
    run = await served.begin("asking.yaml")
    body = await served.until("/v1/approvals", lambda body: body["approvals"])
    return run, body["approvals"][0]


@pytest.mark.parametrize(("decision", "approved"), [("approve", True), ("deny", False)])
async def test_an_answer_lets_the_task_go_on(served, decision, approved):
    run, question = await asked(served)
    assert question["question"] == "May I?"
    path = f"/v1/approvals/{question['approval']}"
    answer = {"decision": decision, "reason": "Because."}
    assert (await served.ask(path, method="POST", json=answer))[0] == 200
    await served.ended(run)
    _, body, _ = await served.ask(f"/v1/agents/{question['agent']}")
    assert body["tasks"][0]["result"] == {"approved": approved}
    assert (await served.ask(path, method="POST", json=answer))[0] == 404


async def test_only_questions_that_a_token_may_answer_are_shown(served):
    run, question = await asked(served)
    theirs = served.token(f"approval:resolve:{run}/**")
    other = served.token("approval:resolve:01JD3X8ZK5Q6T7V8W9XAYBZCDE/**")
    assert len((await served.ask("/v1/approvals", token=theirs))[1]["approvals"]) == 1
    assert (await served.ask("/v1/approvals", token=other))[1]["approvals"] == []
    path = f"/v1/approvals/{question['approval']}"
    status, _, _ = await served.ask(path, method="POST", json={"decision": "approve"}, token=other)
    assert status == 404


async def test_an_answer_is_yes_or_no(served):
    _, question = await asked(served)
    status, body, _ = await served.ask(
        f"/v1/approvals/{question['approval']}", method="POST", json={"decision": "perhaps"}
    )
    assert (status, body["code"]) == (422, "service.invalid")


async def inquired(served, **inputs) -> tuple[str, dict]:
    source = {"source": "inquiring.yaml", "inputs": inputs}
    _, body, _ = await served.ask("/v1/runs", method="POST", json=source)
    asked = await served.until("/v1/approvals", lambda body: body["approvals"])
    return body["run"]["run"], asked["approvals"][0]


async def answer(served, question, **how):
    path = f"/v1/approvals/{question['approval']}"
    return (await served.ask(path, method="POST", json=how))[:2]


async def outcome_of(served, question) -> dict:
    _, body, _ = await served.ask(f"/v1/agents/{question['agent']}")
    return body["tasks"][0]


async def test_a_question_waits_through_a_restart_and_its_answer_is_the_result(opener):
    async with opener() as served:
        run, question = await inquired(served)
        assert question["form"]["required"] == ["where"]
        assert question["data"]["question"] == question["question"] == "Where to?"
    async with opener() as served:
        again = await served.until("/v1/approvals", lambda body: body["approvals"])
        assert again["approvals"] == [question]
        status, body = await answer(
            served, question, decision="approve", answer={"where": "moon", "when": 1}
        )
        assert (status, body["code"]) == (422, "kernel.answer_invalid")
        assert len(body["details"]["reasons"]) == 2
        for wrong in ({"decision": "approve"}, {"decision": "deny", "answer": {"where": "here"}}):
            assert (await answer(served, question, **wrong))[0] == 422
        said = {"where": "there", "days": 3}
        assert (await answer(served, question, decision="approve", answer=said))[0] == 200
        await served.ended(run)
        task = await outcome_of(served, question)
        assert task["result"] == {"answer": said, "by": "tester", "truncated": False}
        _, log, _ = await served.ask(f"/v1/log?run={run}&kind=approval&limit=10")
        kinds = {event["kind"]: event for event in log["events"]}
        assert sorted(kinds) == [
            "approval.consumed.v1",
            "approval.requested.v1",
            "approval.resolved.v1",
        ]
        resolved = kinds["approval.resolved.v1"]
        assert (resolved["actor"], resolved["body"]["answer"]) == ("tester", said)
        assert resolved["token"]


async def test_a_retried_run_takes_the_answer_over_and_asks_nobody(served):
    run, question = await inquired(served)
    await answer(served, question, decision="approve", answer={"where": "here"})
    await served.ended(run)
    _, body, _ = await served.ask(f"/v1/runs/{run}/spans")
    after = body["spans"][-1]
    path, step = f"/v1/runs/{run}/retry", {"step": after["event"]}
    status, body, _ = await served.ask(path, method="POST", json=step)
    assert status == 201, body
    again = body["run"]["run"]
    await served.ended(again)
    _, body, _ = await served.ask(f"/v1/runs/{again}/spans")
    shown = [(span["name"], span["kind"], span["copied"]) for span in body["spans"]]
    assert shown == [
        ("observe", "step", True),
        ("ask_person", "tool", True),
        ("observe", "step", False),
    ]
    _, body, _ = await served.ask(f"/v1/agents/{again}/inquiring")
    assert body["tasks"][0]["result"]["answer"] == {"where": "here"}


async def test_who_declines_may_say_why(served):
    run, question = await inquired(served)
    assert (await answer(served, question, decision="deny", reason="Ask finance."))[0] == 200
    await served.ended(run)
    task = await outcome_of(served, question)
    assert task["state"] == "failed"
    assert task["reason"] == "tester declined to answer: Ask finance."


async def test_a_question_that_nobody_answers_ends_in_time(served):
    run, question = await inquired(served, timeout="0.3")
    await served.ended(run)
    task = await outcome_of(served, question)
    assert task["reason"] == "Nobody answered within 0.3 s."
    assert (await answer(served, question, decision="approve"))[0] == 404
