"""The log as server-sent events."""

import json
from contextlib import asynccontextmanager

import anyio
import pytest

pytestmark = pytest.mark.anyio


async def frames(content):
    """Yield the fields of each frame, as a browser would read them."""
    fields: dict[str, str] = {}
    async for line in content:
        text = line.decode().rstrip("\n")
        if not text:
            yield fields
            fields = {}
        elif text.startswith(":"):
            fields["comment"] = text[1:].strip()
        else:
            name, _, value = text.partition(": ")
            fields[name] = value


@asynccontextmanager
async def stream(served, query="", *, token=None, headers=None):
    sent = {"Authorization": f"Bearer {token or served.token()}", **(headers or {})}
    with anyio.fail_after(10):
        async with served.session.get(f"{served.url}/v1/events{query}", headers=sent) as answer:
            assert answer.status == 200, await answer.text()
            assert answer.content_type == "text/event-stream"
            yield frames(answer.content)


async def read(served, query="", **how) -> list[dict]:
    async with stream(served, query, **how) as found:
        return [json.loads(frame["data"]) async for frame in found if "data" in frame]


async def test_sends_the_whole_log_and_ends_if_asked_to(served):
    await served.ended(await served.begin("hello.yaml"))
    events = await read(served, "?follow=false")
    assert [event["position"] for event in events] == list(range(1, served.runtime.position + 1))
    assert {"agent.spawned.v1", "step.completed.v1"} <= {event["kind"] for event in events}


async def test_resumes_behind_a_position(served):
    await served.ended(await served.begin("hello.yaml"))
    whole = await read(served, "?follow=false")
    assert await read(served, "?follow=false&after=3") == whole[3:]
    assert await read(served, "?follow=false", headers={"Last-Event-ID": "5"}) == whole[5:]
    assert await read(served, "?follow=false&after=1", headers={"Last-Event-ID": "5"}) == whole[5:]


async def test_filters_by_kind_and_by_run(served):
    first, second = await served.begin("hello.yaml"), await served.begin("hello.yaml")
    await served.ended(first)
    await served.ended(second)
    events = await read(served, f"?follow=false&run={first}&kind=agent.&kind=task.")
    assert {event["intent"] for event in events} == {first}
    assert {event["kind"].split(".")[0] for event in events} == {"agent", "task"}


@pytest.mark.parametrize(
    ("asked", "heads"),
    [("task", {"task"}), ("task.", {"task"}), ("task.started.v1", {"task"}), ("tas", set())],
)
async def test_a_kind_is_whole_or_ends_at_a_dot(served, asked, heads):
    await served.ended(await served.begin("hello.yaml"))
    events = await read(served, f"?follow=false&kind={asked}")
    assert {event["kind"].split(".")[0] for event in events} == heads


async def test_follows_what_is_committed(served):
    async with stream(served, "?kind=agent.spawned.&limit=2") as found:
        await served.begin("hello.yaml")
        kinds = [json.loads(frame["data"])["kind"] async for frame in found if "data" in frame]
    assert kinds == ["agent.spawned.v1"] * 2


async def test_shows_that_it_lives(served):
    async with stream(served, "?kind=nothing.") as found:
        async for frame in found:
            if frame.get("comment") == "keep-alive":
                return
    pytest.fail("the stream ended")


async def test_ends_when_its_token_is_taken_back(served):
    async with stream(served, "?kind=nothing.") as found:
        served.revocations.revoke_subject("toka", "tester", issued_until=2**40)
        last = [frame async for frame in found][-1]
    assert "not accepted" in last["comment"]


async def test_a_client_that_reads_nothing_keeps_nobody_waiting(served):
    async with stream(served), stream(served, "?kind=agent.completed.") as quick:
        # The first stream is never read from.
        for _ in range(20):
            await served.begin("hello.yaml")
        seen = 0
        async for frame in quick:
            seen += "data" in frame
            if seen == 40:
                return


async def test_a_token_for_one_run_sees_that_run_alone(served):
    run = await served.begin("hello.yaml")
    await served.ended(run)
    token = served.token(f"event:read:{run}/**")
    events = await read(served, f"?follow=false&run={run}", token=token)
    assert {event["intent"] for event in events} == {run}
    assert (await served.ask("/v1/events?follow=false", token=token))[0] == 403
    other = "01JD3X8ZK5Q6T7V8W9XAYBZCDE"
    assert (await served.ask(f"/v1/events?follow=false&run={other}", token=token))[0] == 403


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("?after=999999", {}),
        ("?after=x", {}),
        ("?run=*", {}),
        ("?run=a/b", {}),
        ("?follow=perhaps", {}),
        ("", {"Last-Event-ID": "x"}),
        ("", {"Last-Event-ID": "9" * 400}),
    ],
)
async def test_a_bad_place_to_begin_is_refused(served, query, headers):
    status, body, _ = await served.ask(f"/v1/events{query}", headers=headers)
    assert (status, body["code"]) == (400, "service.malformed")


async def test_streams_end_when_the_service_stops(opener):
    async with opener() as served, stream(served, "?kind=nothing.") as found:
        async for frame in found:
            if frame.get("comment"):
                break
        began = anyio.current_time()
    assert anyio.current_time() - began < 1
