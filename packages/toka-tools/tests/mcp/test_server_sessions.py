from __future__ import annotations

import asyncio

import pytest

from toka.tools.mcp.server._outlets import MAX_WAITING, Mailbox
from toka.tools.mcp.server._principals import Principal
from toka.tools.mcp.server._sessions import Sessions, TooManySessionsError
from toka.types import NANOSECONDS

from .serving import OLD, call, events_of, listening, request, server_of, texts, until

pytestmark = pytest.mark.anyio

ANNA, BERT = Principal("v/anna"), Principal("v/bert")


class HandClock:
    """A clock that goes on when told."""

    def __init__(self) -> None:
        self.time = 1_000 * NANOSECONDS

    def now(self) -> int:
        return self.time

    def monotonic(self) -> int:
        return self.time

    async def sleep(self, nanoseconds: int) -> None:
        self.time += nanoseconds


def test_a_session_is_nobodys_but_its_principals() -> None:
    sessions = Sessions(HandClock())
    session = sessions.open(ANNA, OLD, {})
    assert sessions.find(session.id, ANNA) is session
    assert sessions.find(session.id, BERT) is None
    assert sessions.find("another", ANNA) is None


def test_a_session_ends_when_it_was_not_used_for_long() -> None:
    clock = HandClock()
    sessions = Sessions(clock, idle_ns=10)
    kept, left = sessions.open(ANNA, OLD, {}), sessions.open(ANNA, OLD, {})
    clock.time += 8
    assert sessions.find(kept.id, ANNA) is kept
    clock.time += 8
    assert sessions.find(left.id, ANNA) is None
    assert len(sessions) == 1


def test_one_principal_loses_its_own_oldest_session_and_nobody_elses() -> None:
    sessions = Sessions(HandClock(), limit=4, limit_of_one=2)
    berts = sessions.open(BERT, OLD, {})
    first, second = sessions.open(ANNA, OLD, {}), sessions.open(ANNA, OLD, {})
    sessions.find(first.id, ANNA)  # used last
    third = sessions.open(ANNA, OLD, {})
    assert sessions.find(second.id, ANNA) is None
    assert sessions.find(berts.id, BERT) is berts
    assert {each.id for each in sessions} == {first.id, third.id, berts.id}


def test_more_sessions_than_there_may_be_are_refused() -> None:
    sessions = Sessions(HandClock(), limit=2, limit_of_one=2)
    sessions.open(ANNA, OLD, {})
    sessions.open(BERT, OLD, {})
    with pytest.raises(TooManySessionsError):
        sessions.open(Principal("v/carl"), OLD, {})


async def test_an_unknown_session_is_404_and_a_missing_one_400() -> None:
    async with listening(server_of()) as web:
        message = request(1, "tools/list", {})
        assert (await web.ask(message, headers={"Mcp-Session-Id": "nobody"}))[0] == 404
        assert (await web.ask(message, headers={"MCP-Protocol-Version": OLD}))[0] == 400
        headers = {"Mcp-Session-Id": await web.begin(), "MCP-Protocol-Version": "2025-03-26"}
        assert (await web.ask(message, headers=headers))[0] == 400


async def test_a_deleted_session_is_gone_with_what_it_was_doing() -> None:
    server = server_of()
    async with listening(server) as web:
        headers = {"Mcp-Session-Id": await web.begin()}
        message = call(1, "wait", {"arguments": {"seconds": 300}})
        async with asyncio.TaskGroup() as group:
            working = group.create_task(web.ask(message, headers=headers))
            await until(lambda: server.running == 1)
            async with web.http.delete(web.url, headers=headers) as response:
                assert response.status == 204
        assert working.result()[0] == 202
        assert server.running == 0
        assert (await web.ask(request(2, "tools/list", {}), headers=headers))[0] == 404


async def test_a_call_is_cancelled_by_its_session_and_an_id_used_once_at_a_time() -> None:
    server = server_of()
    async with listening(server) as web:
        headers = {"Mcp-Session-Id": await web.begin()}
        message = call(1, "wait", {"arguments": {"seconds": 300}})
        async with asyncio.TaskGroup() as group:
            working = group.create_task(web.ask(message, headers=headers))
            await until(lambda: server.running == 1)
            _, double = await web.ask(message, headers=headers)
            assert double["error"]["code"] == -32600
            told = {"method": "notifications/cancelled", "params": {"requestId": 1}}
            assert (await web.ask({"jsonrpc": "2.0", **told}, headers=headers))[0] == 202
        assert working.result() == (202, None)


async def test_a_client_that_loses_its_connection_does_not_end_a_call_of_its_session() -> None:
    server = server_of()
    async with listening(server) as web:
        headers = {"Mcp-Session-Id": await web.begin()}
        params = {"arguments": {"seconds": 0.3}, "_meta": {"progressToken": 1}}
        async with web.post(call(1, "wait", params), headers=headers) as response:
            await anext(events_of(response))
            response.close()
        await asyncio.sleep(0.05)
        assert server.running == 1
        await until(lambda: server.running == 0)


async def test_a_session_hears_of_changes_on_its_own_stream() -> None:
    server = server_of()
    async with listening(server) as web:
        headers = {"Mcp-Session-Id": await web.begin(), "Accept": "text/event-stream"}
        async with web.http.get(web.url, headers=headers) as heard:
            async with web.http.get(web.url, headers=headers) as second:
                assert second.status == 409
            server.tools_changed()
            changed = await anext(events_of(heard))
            assert changed["method"] == "notifications/tools/list_changed"
        answer = await web.ask(
            call(1, "add", {"arguments": {"first": 1}}), headers=headers | {"Accept": "*/*"}
        )
        assert texts(answer[1]) == ["2"]


async def test_a_mailbox_holds_so_many_messages_and_always_the_last() -> None:
    mailbox = Mailbox()
    assert await mailbox.next_within(0) == b""
    for _ in range(MAX_WAITING):
        assert mailbox.offer(b"x")
    assert not mailbox.offer(b"too many")
    sending = asyncio.ensure_future(mailbox.send(b"later"))
    await asyncio.sleep(0)
    assert not sending.done()
    assert await mailbox.next_within(10) == b"x"
    await sending
    mailbox.finish(b"last")
    mailbox.finish(b"after the last")
    found = [await mailbox.next_within(10) for _ in range(MAX_WAITING + 1)]
    assert found[-2:] == [b"later", b"last"]
    assert await mailbox.next_within(10) is None


async def test_a_closed_mailbox_lets_those_go_that_wait_for_room() -> None:
    mailbox = Mailbox()
    for _ in range(MAX_WAITING):
        mailbox.offer(b"x")
    sending = asyncio.ensure_future(mailbox.send(b"later"))
    await asyncio.sleep(0)
    mailbox.close()
    await sending
    assert not mailbox.offer(b"more")
