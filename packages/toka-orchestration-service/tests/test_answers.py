"""Entity tags: a read that would be the same is not sent again, and what changed always is."""

import pytest

from toka.orchestration_service import _answers

pytestmark = pytest.mark.anyio


async def ask(served, path: str, tag: str = "", token: str | None = None) -> tuple[int, str]:
    headers = {"If-None-Match": tag} if tag else {}
    status, _, answer = await served.ask(path, headers=headers, token=token)
    return status, answer.headers.get("ETag", "")


@pytest.mark.parametrize(
    "path", ["/v1/runs", "/v1/agents", "/v1/log", "/v1/tools", "/openapi.json"]
)
async def test_a_read_that_would_be_the_same_is_not_sent_again(served, path):
    token = served.token()
    status, tag = await ask(served, path, token=token)
    assert status == 200
    for sent in (tag, f'"other", {tag}', f"W/{tag}", "*"):
        assert await ask(served, path, sent, token) == (304, tag)
    assert await ask(served, path, '"other"', token) == (200, tag)


async def test_what_has_changed_is_sent(served):
    token = served.token()
    _, before = await ask(served, "/v1/runs", token=token)
    run = await served.begin("hello.yaml")
    status, after = await ask(served, "/v1/runs", before, token)
    assert (status, after != before) == (200, True)
    await served.ended(run)
    _, body, _ = await served.ask("/v1/runs", token=token, headers={"If-None-Match": after})
    assert body["runs"][0]["state"] == "completed"


async def test_what_is_kept_for_one_token_is_not_for_another(served):
    run = await served.begin("asking.yaml")
    await served.until("/v1/approvals", lambda body: body["approvals"])
    other = served.token("approval:resolve:01JD3X8ZK5Q6T7V8W9XAYBZCDE/**")
    assert len((await served.ask("/v1/approvals"))[1]["approvals"]) == 1
    assert (await served.ask("/v1/approvals", token=other))[1]["approvals"] == []
    assert (await served.ask(f"/v1/runs/{run}", token=other))[0] == 403


async def test_so_many_answers_are_kept(served, monkeypatch):
    monkeypatch.setattr(_answers, "KEPT", 2)
    for limit in range(1, 6):
        assert (await ask(served, f"/v1/runs?limit={limit}"))[0] == 200


async def test_refusals_and_writes_have_no_tag(served):
    for path in ("/v1/runs/01JD3X8ZK5Q6T7V8W9XAYBZCDE", "/v1/runs?limit=0"):
        assert (await ask(served, path))[1] == ""
    _, _, answer = await served.ask("/v1/runs", method="POST", json={"source": "hello.yaml"})
    assert "ETag" not in answer.headers
    assert answer.headers["Cache-Control"] == "no-store"
