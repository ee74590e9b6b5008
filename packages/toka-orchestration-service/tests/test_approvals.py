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
