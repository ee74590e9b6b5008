from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import attrs
import pytest

from toka.tools import FunctionTool, ToolRegistry, tool
from toka.tools.mcp import McpError
from toka.tools.mcp.server import HttpOptions, conversation, serve_http

from .serving import (
    NEW,
    OLD,
    TOOLS,
    Web,
    call,
    events_of,
    listening,
    new,
    request,
    server_of,
    texts,
    until,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from toka.types import JsonObject

pytestmark = pytest.mark.anyio

ADD = call(1, "add", new(arguments={"first": 1}))


async def test_a_tool_is_called_without_a_session() -> None:
    async with listening(server_of()) as web:
        status, answer = await web.ask(ADD)
        assert (status, answer["result"]["structuredContent"]) == (200, 2)


async def test_a_tool_is_called_in_a_session() -> None:
    async with listening(server_of()) as web:
        headers = {"Mcp-Session-Id": await web.begin()}
        headers["MCP-Protocol-Version"] = OLD
        status, answer = await web.ask(call(1, "add", {"arguments": {"first": 1}}), headers=headers)
        assert (status, texts(answer)) == (200, ["2"])
        told = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        assert await web.ask(told, headers=headers) == (202, None)


async def test_progress_makes_the_answer_a_stream() -> None:
    async with listening(server_of()) as web:
        message = call(1, "wait", new(arguments={"seconds": 0}, meta={"progressToken": 7}))
        async with web.post(message) as response:
            assert response.content_type == "text/event-stream"
            assert response.headers["X-Accel-Buffering"] == "no"
            found = [each async for each in events_of(response)]
        assert [each["params"]["progress"] for each in found[:3]] == [0, 1, 2]
        assert texts(found[3]) == ["waited"]


async def test_a_client_that_goes_away_cancels_its_call() -> None:
    ended = asyncio.Event()

    @tool(side_effect="none")
    async def linger() -> None:
        """Stay until cancelled."""
        try:
            talk = conversation()
            assert talk is not None
            await talk.progress(0)
            await asyncio.sleep(3_600)
        finally:
            ended.set()

    server = server_of(registry=ToolRegistry.of([linger]))
    async with listening(server) as web:
        async with web.post(call(1, "linger", new(meta={"progressToken": 1}))) as response:
            await anext(events_of(response))
            assert server.running == 1
            response.close()
        await until(lambda: ended.is_set() and server.running == 0)


@pytest.mark.parametrize(
    ("message", "headers", "code"),
    [
        (ADD, {"MCP-Protocol-Version": "2030-01-01"}, -32020),
        (ADD, {"Mcp-Method": "tools/list"}, -32020),
        (ADD, {"Mcp-Name": "fail"}, -32020),
        (ADD, {"Mcp-Name": "=?base64?YWRk=?="}, -32020),
        (request(1, "tools/list", {}), {"MCP-Protocol-Version": NEW}, -32602),
        (request(1, "tools/list", {}), {"MCP-Protocol-Version": "2030-01-01"}, -32602),
        (request(1, "tools/list", {}), {}, -32600),
        (
            request(1, "tools/list", new(meta={"io.modelcontextprotocol/clientCapabilities": 1})),
            {},
            -32602,
        ),
        ({"jsonrpc": "2.0", "id": 1, "result": {}}, {"MCP-Protocol-Version": NEW}, -32600),
        (call(1, "nothing", new()), {}, -32602),
        (call(1, "add", new(arguments=[])), {}, -32602),
        (b"{", {}, -32700),
        (b"[]", {}, -32600),
        (b"[" * 100_000, {}, -32600),
    ],
)
async def test_what_is_wrong_is_answered_with_400_and_its_code(
    message: object, headers: dict[str, str], code: int
) -> None:
    async with listening(server_of()) as web:
        status, answer = await web.ask(message, headers=headers)
        assert (status, answer["error"]["code"]) == (400, code)


async def test_a_missing_or_doubled_header_is_a_mismatch() -> None:
    async with listening(server_of()) as web:
        status, answer = await web.ask(ADD, bare=True)
        assert (status, answer["error"]["code"]) == (400, -32020)
        headers = [
            ("Content-Type", "application/json"),
            ("Accept", "application/json, text/event-stream"),
            ("MCP-Protocol-Version", NEW),
            ("Mcp-Method", "tools/call"),
            ("Mcp-Name", "add"),
            ("Mcp-Name", "add"),
        ]
        async with web.http.post(web.url, data=json.dumps(ADD), headers=headers) as response:
            assert (await response.json())["error"]["code"] == -32020


async def test_an_unknown_method_is_404() -> None:
    async with listening(server_of()) as web:
        for method in ("initialize", "prompts/list", "nothing"):
            status, answer = await web.ask(request(9, method, new()))
            assert (status, answer["error"]["code"], answer["id"]) == (404, -32601, 9)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1.evil.example:80"}, 403),
        ({"Host": "["}, 403),
        ({"Origin": "http://[::1"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Encoding": "gzip"}, 415),
        ({"Accept": "application/json"}, 406),
        ({"Accept": "*/*"}, 200),
        ({"Origin": "http://localhost:9"}, 200),
        ({"Host": "localhost"}, 200),
    ],
)
async def test_a_request_is_refused_by_where_it_comes_from(
    headers: dict[str, str], status: int
) -> None:
    async with listening(server_of()) as web, web.post(ADD, headers=headers) as response:
        assert response.status == status


async def test_origins_and_hosts_can_be_allowed() -> None:
    options = {"origins": ("https://good.example",), "hosts": ("inside.example",)}
    async with listening(server_of(), **options) as web:
        headers = {"Origin": "https://good.example", "Host": "inside.example:99"}
        assert (await web.ask(ADD, headers=headers))[0] == 200


async def test_a_body_is_refused_by_its_length_before_it_is_read() -> None:
    async with listening(server_of(), max_body_bytes=1_000) as web:
        assert (await web.ask(b"x" * 1_001))[0] == 413

        async def endless() -> AsyncGenerator[bytes]:
            while True:
                yield b" " * 600

        headers = {"Content-Type": "application/json", "Accept": "*/*"}
        async with web.http.post(web.url, data=endless(), headers=headers) as response:
            assert response.status == 413


async def test_other_paths_and_methods_are_nothing() -> None:
    async with listening(server_of()) as web:
        elsewhere = web.url.replace("/mcp", "/")
        assert (await Web(elsewhere, web.http).ask(ADD))[0] == 404
        for method in ("GET", "DELETE", "PUT", "OPTIONS"):
            async with web.http.request(method, web.url) as response:
                assert (response.status, response.headers["Allow"]) == (405, "POST")
        async with web.http.get(
            web.url.replace("/mcp", "/.well-known/oauth-protected-resource/mcp")
        ) as response:
            assert response.status == 404


async def test_notifications_without_a_session_are_taken_and_dropped() -> None:
    async with listening(server_of()) as web:
        told = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
        assert (await web.ask(told, headers={"MCP-Protocol-Version": NEW}))[0] == 202
        assert (await web.ask(told, headers={"MCP-Protocol-Version": "2030-01-01"}))[0] == 400


async def test_everybody_may_call_from_this_machine_alone() -> None:
    async with server_of() as server:
        with pytest.raises(McpError, match="Without tokens"):
            async with serve_http(server, HttpOptions(host="0.0.0.0")):  # noqa: S104 - refused
                pass


async def test_what_a_tool_raises_beside_its_errors_stays_inside(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with listening(server_of()) as web:
        status, answer = await web.ask(call(1, "fail", new()))
        assert status == 200
        assert answer["error"] == {"code": -32603, "message": "Something failed here."}
        assert "a secret of the server" in caplog.text


async def test_arguments_that_break_the_schema_are_a_result_for_the_model() -> None:
    async with listening(server_of()) as web:
        _, answer = await web.ask(call(1, "add", new(arguments={"first": "one"})))
        assert answer["result"]["isError"] is True
        assert answer["result"]["_meta"] == {"toka.tools/code": "tools.invalid_arguments"}


async def test_a_call_belongs_to_the_trace_that_its_request_names() -> None:
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    async with listening(server_of()) as web:
        meta = {"traceparent": parent, "tracestate": "a=b"}
        _, answer = await web.ask(call(1, "trace", new(meta=meta)))
        found = answer["result"]["structuredContent"]
        assert (found["TRACEPARENT"], found["TRACESTATE"]) == (parent, "a=b")
        _, answer = await web.ask(call(1, "trace", new(meta={"traceparent": "x\n"})))
        assert "TRACEPARENT" not in answer["result"]["structuredContent"]


async def test_lists_come_in_pages_that_go_on_from_a_name() -> None:
    async with listening(server_of("vault:read:a", page_size=2)) as web:
        names: list[str] = []
        cursor: str | None = None
        for _ in range(5):
            params = new(None, **({"cursor": cursor} if cursor else {}))
            _, answer = await web.ask(request(1, "tools/list", params))
            names += [each["name"] for each in answer["result"]["tools"]]
            cursor = answer["result"].get("nextCursor")
            if cursor is None:
                break
        assert names == sorted(each.name for each in TOOLS)
        _, answer = await web.ask(request(1, "tools/list", new(cursor="no cursor")))
        assert answer["error"]["code"] == -32602


async def test_a_subscription_hears_what_it_asked_for_and_how_it_ends() -> None:
    server = server_of()
    async with listening(server) as web:
        wanted = {
            "toolsListChanged": True,
            "promptsListChanged": True,
            "resourcesListChanged": False,
        }
        async with web.post(
            request("s", "subscriptions/listen", new(notifications=wanted))
        ) as heard:
            found = events_of(heard)
            acknowledged = await anext(found)
            assert acknowledged["params"]["notifications"] == {"toolsListChanged": True}
            server.tools_changed()
            server.prompts_changed()
            changed = await anext(found)
            assert changed["method"] == "notifications/tools/list_changed"
            assert changed["params"]["_meta"] == {"io.modelcontextprotocol/subscriptionId": "s"}
            server.host.subscriptions.end_all()
            assert (await anext(found))["result"]["resultType"] == "complete"
        assert len(server.host.subscriptions) == 0


async def test_a_subscription_ends_with_its_connection() -> None:
    server = server_of()
    async with listening(server) as web:
        message = request(1, "subscriptions/listen", new(notifications={"toolsListChanged": True}))
        async with web.post(message) as heard:
            await anext(events_of(heard))
            heard.close()
        await until(lambda: len(server.host.subscriptions) == 0)


def copy_as(kind: type[FunctionTool], made: FunctionTool) -> FunctionTool:
    fields = attrs.fields(FunctionTool)
    return kind(**{each.alias: getattr(made, each.name) for each in fields})


async def test_a_header_says_again_what_an_annotated_argument_says() -> None:
    schema: JsonObject = {
        "type": "object",
        "properties": {"region": {"type": "string", "x-mcp-header": "Region"}},
    }

    class Routed(FunctionTool):
        """A tool with a schema of its own."""

        @property
        def parameters(self) -> JsonObject:
            return schema

    @tool(side_effect="none")
    async def routed(region: str = "") -> str:
        """Say where."""
        return region

    registry = ToolRegistry.of([copy_as(Routed, routed)])
    async with listening(server_of(registry=registry)) as web:
        message = call(1, "routed", new(arguments={"region": "Zürich"}))
        assert (await web.ask(message))[1]["error"]["code"] == -32020
        wrapped = {"Mcp-Param-Region": "=?base64?WsO8cmljaA==?="}
        assert (await web.ask(message, headers=wrapped))[0] == 200
        assert (await web.ask(call(1, "routed", new()), headers=wrapped))[0] == 400
