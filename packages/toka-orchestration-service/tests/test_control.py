"""Steering runs and agents over HTTP: pause, resume, and the same request twice."""

import pytest

pytestmark = pytest.mark.anyio


async def ticking(served) -> str:
    run = await served.begin("ticking.yaml")
    await served.until(f"/v1/runs/{run}", lambda body: body["run"]["steps"] > 2)
    return run


async def steer(served, path: str, key: str = "", **body) -> tuple[int, dict]:
    headers = {"Idempotency-Key": key} if key else {}
    status, answer, _ = await served.ask(path, method="POST", json=body, headers=headers)
    return status, answer


async def test_a_paused_run_does_nothing_until_it_is_resumed(served):
    run = await ticking(served)
    status, body = await steer(served, f"/v1/runs/{run}/pause", reason="Let me look.")
    assert (status, body["state"], body["reason"]) == (200, "paused", "Let me look.")
    listed = (await served.ask("/v1/runs?state=paused"))[1]["runs"]
    assert [each["run"] for each in listed] == [run]
    _, before, _ = await served.ask(f"/v1/runs/{run}")
    assert before["agents"][0]["state"] == "suspended"
    assert (await steer(served, f"/v1/runs/{run}/pause"))[0] == 409
    status, body = await steer(served, f"/v1/runs/{run}/resume")
    assert (status, body["state"]) == (200, "running")
    steps = before["run"]["steps"]
    await served.until(f"/v1/runs/{run}", lambda body: body["run"]["steps"] > steps)
    assert (await steer(served, f"/v1/runs/{run}/resume"))[0] == 409


async def test_a_paused_agent_does_nothing_until_it_is_resumed(served):
    run = await ticking(served)
    agent = f"{run}/ticking"
    status, body = await steer(served, f"/v1/agents/{agent}:pause", reason="Wait.")
    assert (status, body["state"], body["reason"]) == (200, "suspended", "Wait.")
    assert (await served.ask(f"/v1/runs/{run}"))[1]["run"]["state"] == "running"
    steps = (await served.ask(f"/v1/agents/{agent}"))[1]["agent"]["steps"]
    assert (await steer(served, f"/v1/agents/{agent}:resume"))[0] == 200
    await served.until(f"/v1/agents/{agent}", lambda body: body["agent"]["steps"] > steps)


async def test_what_has_ended_is_not_steered(served):
    run = await served.begin("hello.yaml")
    await served.ended(run)
    for verb in ("pause", "resume", "cancel"):
        status, body = await steer(served, f"/v1/runs/{run}/{verb}")
        assert (status, body["code"]) == (409, "service.conflict"), verb


async def test_steering_needs_the_permission_for_each_agent(served):
    run = await ticking(served)
    only_run = served.token(f"agent:control:{run}")
    status, body, _ = await served.ask(
        f"/v1/runs/{run}/pause", method="POST", json={}, token=only_run
    )
    assert (status, body["code"]) == (403, "kernel.capability_denied")
    every_agent = served.token(f"agent:control:{run}", f"agent:control:{run}/**")
    status, _, _ = await served.ask(
        f"/v1/runs/{run}/resume", method="POST", json={}, token=every_agent
    )
    assert status == 200


async def test_the_same_request_under_one_key_is_one_request(served):
    run = await ticking(served)
    for _ in range(2):
        assert (await steer(served, f"/v1/runs/{run}/pause", "one"))[0] == 200
    assert (await steer(served, f"/v1/runs/{run}/resume", "two"))[0] == 200
    # The pause is not done anew: it was answered long ago.
    assert (await steer(served, f"/v1/runs/{run}/pause", "one"))[1]["state"] == "running"
    for _ in range(2):
        status, body = await steer(served, f"/v1/runs/{run}/cancel", "three", reason="Enough.")
        assert (status, body["state"]) == (200, "cancelled")
    other = await ticking(served)
    status, body = await steer(served, f"/v1/runs/{other}/cancel", "three")
    assert (status, body["code"]) == (422, "service.key_reused")


async def test_an_answer_under_one_key_is_one_answer(served):
    await served.begin("asking.yaml")
    asked = await served.until("/v1/approvals", lambda body: body["approvals"])
    path = f"/v1/approvals/{asked['approvals'][0]['approval']}"
    for _ in range(2):
        assert await steer(served, path, "one", decision="approve") == (
            200,
            {"approval": path.rpartition("/")[2], "decision": "approve"},
        )
    unknown = "/v1/approvals/01JD3X8ZK5Q6T7V8W9XAYBZCDE"
    assert (await steer(served, unknown, "one", decision="approve"))[0] == 422
    assert (await steer(served, unknown, "two", decision="approve"))[0] == 404


async def test_a_run_that_has_ended_is_begun_again_as_it_was(served):
    status, first, _ = await served.ask(
        "/v1/runs", method="POST", json={"source": "hello.yaml", "inputs": {"name": "Ada"}}
    )
    old = await served.ended(first["run"]["run"])
    path = f"/v1/runs/{old['run']['run']}/retry"
    status, body, answer = await served.ask(path, method="POST", headers={"Idempotency-Key": "a"})
    assert status == 201
    run = body["run"]["run"]
    assert answer.headers["Location"] == f"/v1/runs/{run}"
    new = await served.ended(run)
    assert new["run"]["state"] == "completed"
    assert (new["source"], new["inputs"]) == (old["source"], {"name": "Ada"})
    assert new["artifacts"] != old["artifacts"]
    _, again, _ = await served.ask(path, method="POST", headers={"Idempotency-Key": "a"})
    assert again["run"]["run"] == run
    blind = served.token("run:start:*", "agent:*:**", "fs:*:/**")
    assert (await served.ask(path, method="POST", token=blind))[0] == 403


async def test_a_run_that_goes_on_is_not_begun_again(served):
    run = await ticking(served)
    status, body, _ = await served.ask(f"/v1/runs/{run}/retry", method="POST")
    assert (status, body["code"]) == (409, "service.conflict")
