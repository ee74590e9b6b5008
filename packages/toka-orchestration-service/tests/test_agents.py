"""Agents over HTTP."""

import pytest

pytestmark = pytest.mark.anyio


async def test_shows_an_agent_with_its_tasks_and_what_it_may_do(served):
    run = await served.begin("hello.yaml")
    await served.ended(run)
    status, body, _ = await served.ask(f"/v1/agents/{run}/hello")
    assert status == 200
    assert body["agent"]["state"] == "completed"
    assert body["permissions"][0].startswith("fs:write:")
    (task,) = body["tasks"]
    assert task["description"] == "Write a greeting"
    assert task["steps"] == 1
    assert task["result"]["written"]["bytes"] == 13


async def test_as_many_tasks_as_are_wanted_are_told_of(served):
    run = await served.begin("hello.yaml")
    await served.ended(run)
    for query, count in (("", 1), ("?tasks=1", 1), ("?tasks=0", 0)):
        _, body, _ = await served.ask(f"/v1/agents/{run}/hello{query}")
        assert (len(body["tasks"]), body["agent"]["tasks"]) == (count, 1)
    status, body, _ = await served.ask(f"/v1/agents/{run}/hello?tasks=501")
    assert (status, body["code"]) == (400, "service.malformed")


async def test_pages_hold_every_agent_once(served):
    begun = [await served.begin("hello.yaml") for _ in range(3)]
    for run in begun:
        await served.ended(run)
    seen: list[str] = []
    after = ""
    while after is not None:
        _, page, _ = await served.ask(f"/v1/agents?limit=2&after={after}")
        seen += [agent["agent"] for agent in page["agents"]]
        after = page["next"]
    assert seen == [f"{run}/hello" for run in begun]


async def test_names_those_that_live_as_the_original_did(served):
    await served.ended(await served.begin("hello.yaml"))
    await served.begin("asking.yaml")
    await served.until("/v1/approvals", lambda body: body["approvals"])
    assert (await served.ask("/agents"))[1] == ["asking"]


async def test_an_unknown_agent_is_not_found(served):
    run = await served.begin("hello.yaml")
    assert (await served.ask(f"/v1/agents/{run}/nobody"))[0] == 404
    assert (await served.ask(f"/v1/agents/{run}/.."))[0] == 404
