"""Tools, keys, what was taken back, and the health of the parts."""

import pytest

from toka.store.core import StoreFailed

pytestmark = pytest.mark.anyio


async def test_lists_the_tools_that_agents_can_be_allowed(served):
    _, body, _ = await served.ask("/v1/tools")
    tools = {tool["name"]: tool for tool in body["tools"]}
    assert tools["write_file"]["side_effect"] == "idempotent"
    assert tools["http_request"]["taints"]
    assert "path" in tools["read_file"]["parameters"]["properties"]


async def test_nothing_is_said_of_keys_where_nobody_told(served):
    assert (await served.ask("/v1/keys"))[1] == {"keys": []}
    assert (await served.ask("/v1/revocations"))[1] == {"revocations": [], "next": None}


async def test_health_tells_of_each_part(served):
    await served.ended(await served.begin("hello.yaml"))
    _, body, _ = await served.ask("/v1/health")
    assert body["status"] == "ok"
    parts = {part["name"]: part for part in body["parts"]}
    assert parts.keys() == {"log", "view", "runs", "streams"}
    assert parts["log"]["figures"]["events"] == served.runtime.position
    assert parts["view"]["figures"]["runs"] == 1


async def test_health_says_what_fails(served, monkeypatch):
    async def fail() -> None:
        raise StoreFailed("The disk is gone.")

    monkeypatch.setattr(served.runtime.store, "stats", fail)
    _, body, _ = await served.ask("/v1/health")
    assert body["status"] == "degraded"
    assert body["parts"][0]["detail"] == "The disk is gone."
