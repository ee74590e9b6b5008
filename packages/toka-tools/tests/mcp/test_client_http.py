from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

import pytest
from aiohttp import web

from toka.capability.core import PermissionSet
from toka.tools import AddressDeniedError, ToolContext, ToolTimeoutError, Workspace
from toka.tools.mcp import ConnectionLostError, ProtocolError
from toka.tools.mcp.client import (
    AuthorizationError,
    BearerToken,
    DefinitionChangedError,
    HttpStatusError,
    McpClient,
    Pins,
    ServerConfig,
)
from toka.types import NANOSECONDS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable
    from pathlib import Path

    from toka.types import Json

    Handler = Callable[[web.Request, dict[str, Json]], Awaitable[web.StreamResponse]]

pytestmark = pytest.mark.anyio

TOKEN = "s3cret"  # noqa: S105 - of nothing
SCHEMA: Json = {
    "type": "object",
    "properties": {"text": {"type": "string", "x-mcp-header": "Text"}},
}


def result_of(message: dict[str, Json], result: Json) -> dict[str, Json]:
    return {"jsonrpc": "2.0", "id": message["id"], "result": result}


def said(text: str) -> Json:
    return {"content": [{"type": "text", "text": text}]}


class Server:
    """A server over HTTP whose answer to a call a test writes."""

    def __init__(self, call: Handler, *, new: bool = True, token: str = "") -> None:
        self.call, self.new, self.token = call, new, token
        self.sessions = 0
        self.seen: list[tuple[str, dict[str, str], dict[str, Json]]] = []
        self.description = "Say it again."
        self.quiet = asyncio.Event()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.method == "DELETE":
            self.seen.append(("DELETE", dict(request.headers), {}))
            return web.Response(status=200)
        if request.method == "GET" and "Last-Event-ID" not in request.headers:
            return web.Response(status=405)
        return await self.admit(request)

    async def admit(self, request: web.Request) -> web.StreamResponse:
        if self.token and request.headers.get("Authorization") != f"Bearer {self.token}":
            return web.Response(status=401)
        message = cast("dict[str, Json]", await request.json()) if request.can_read_body else {}
        method = str(message.get("method", request.method))
        self.seen.append((method, dict(request.headers), message))
        return await self.answer(request, method, message)

    async def answer(
        self, request: web.Request, method: str, message: dict[str, Json]
    ) -> web.StreamResponse:
        if method == "server/discover":
            return self.discover(message)
        if method == "initialize":
            return self.begin(message)
        if "id" not in message and request.method == "POST":
            return web.Response(status=202)
        if not self.new and request.headers.get("Mcp-Session-Id") != f"s{self.sessions}":
            return web.Response(status=404)
        if method == "tools/list":
            tool: Json = {"name": "echo", "description": self.description, "inputSchema": SCHEMA}
            return web.json_response(result_of(message, {"tools": [tool]}))
        return await self.call(request, message)

    def begin(self, message: dict[str, Json]) -> web.Response:
        self.sessions += 1
        answer = {"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {}}
        name = {"Mcp-Session-Id": f"s{self.sessions}"}
        return web.json_response(result_of(message, cast("Json", answer)), headers=name)

    def discover(self, message: dict[str, Json]) -> web.Response:
        if not self.new:
            return web.Response(status=400, text="no session")
        offered: Json = {"supportedVersions": ["2026-07-28"], "capabilities": {}}
        return web.json_response(result_of(message, offered))


@asynccontextmanager
async def serving(server: Server) -> AsyncGenerator[str]:
    application = web.Application()
    application.router.add_route("*", "/mcp", server.handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/mcp"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def connected(
    server: Server, root: Path, **changes: object
) -> AsyncGenerator[Callable[..., Awaitable[Json]]]:
    async with serving(server) as url:
        config = ServerConfig(url=url, **changes)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - fields by name
        client = McpClient("it", config, Workspace(root))
        client.authorizer = BearerToken(server.token) if server.token else None
        async with client:
            offers = await client.offers()
            client.pins = Pins().approve(one.definition for one in offers if one.definition)
            await client.refresh()
            granted = PermissionSet.parse(["mcp:call:it/echo"])

            async def call(seconds: float = 5, **arguments: Json) -> Json:
                limit = int(seconds * NANOSECONDS)
                context = ToolContext(Workspace(root), granted, timeout_ns=limit)
                (tool,) = client.tools()
                return (await tool.call(arguments, context)).value

            yield call


async def echo(_: web.Request, message: dict[str, Json]) -> web.StreamResponse:
    arguments = cast("dict[str, dict[str, Json]]", message["params"])["arguments"]
    return web.json_response(result_of(message, said(str(arguments.get("text")))))


@pytest.mark.parametrize("new", [True, False])
async def test_a_tool_of_either_era_is_called(tmp_path: Path, new: bool) -> None:
    server = Server(echo, new=new)
    async with connected(server, tmp_path) as call:
        assert await call(text="hé") == {"text": "hé"}
    method, headers, message = next(one for one in server.seen if one[0] == "tools/call")
    if new:
        assert headers["Mcp-Method"] == method
        assert headers["Mcp-Name"] == "echo"
        assert headers["Mcp-Param-Text"] == "=?base64?aMOp?="
        meta = cast("dict[str, dict[str, Json]]", message["params"])["_meta"]
        assert meta["io.modelcontextprotocol/protocolVersion"] == "2026-07-28"
    else:
        assert headers["Mcp-Session-Id"] == "s1"
        assert headers["MCP-Protocol-Version"] == "2025-11-25"
        assert server.seen[-1][0] == "DELETE"


async def test_a_session_that_is_forgotten_is_begun_again(tmp_path: Path) -> None:
    server = Server(echo, new=False)
    async with connected(server, tmp_path) as call:
        server.sessions += 1
        assert await call(text="a") == {"text": "a"}
        assert server.sessions == 3
        server.description = "Something else."
        server.sessions += 1
        with pytest.raises(DefinitionChangedError):
            await call(text="a")


@pytest.mark.parametrize(
    "wrong",
    [
        {"jsonrpc": "2.0", "id": 999, "result": {"content": []}},
        {"jsonrpc": "2.0", "id": "4", "result": {"content": []}},
        {"jsonrpc": "2.0", "method": "notifications/x"},
        [],
        {"jsonrpc": "2.0", "id": 4},
    ],
)
async def test_an_answer_to_something_else_is_refused(tmp_path: Path, wrong: Json) -> None:
    async def answer(_: web.Request, _message: dict[str, Json]) -> web.StreamResponse:
        return web.json_response(wrong)

    async with connected(Server(answer), tmp_path) as call:
        with pytest.raises(ProtocolError):
            await call()


async def test_an_answer_of_another_call_is_refused_on_a_stream_too(tmp_path: Path) -> None:
    async def answer(request: web.Request, message: dict[str, Json]) -> web.StreamResponse:
        other = {**message, "id": cast("int", message["id"]) + 1}
        return await stream(request, [result_of(other, said("for somebody else"))])

    async with connected(Server(answer), tmp_path) as call:
        with pytest.raises(ProtocolError, match="not asked"):
            await call()


async def stream(
    request: web.Request, messages: list[dict[str, Json]], prime: str = ""
) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    await response.write(prime.encode())
    for message in messages:
        await response.write(f"data: {json.dumps(message)}\n\n".encode())
    return response


async def test_a_stream_that_is_cut_is_taken_up_again(tmp_path: Path) -> None:
    last: dict[str, Json] = {}

    async def answer(request: web.Request, message: dict[str, Json]) -> web.StreamResponse:
        if request.method == "POST":
            last.update(message)
            return await stream(request, [], "id: 7\nretry: 10\ndata:\n\n")
        assert request.headers["Last-Event-ID"] == "7"
        return await stream(request, [result_of(last, said("late"))])

    async with connected(Server(answer, new=False), tmp_path) as call:
        assert await call() == {"text": "late"}


async def test_a_stream_that_ends_without_an_answer_is_an_error(tmp_path: Path) -> None:
    async def answer(request: web.Request, _message: dict[str, Json]) -> web.StreamResponse:
        return await stream(request, [])

    async with connected(Server(answer), tmp_path) as call:
        with pytest.raises(ConnectionLostError):
            await call()


@pytest.mark.parametrize("kind", ["application/json", "text/event-stream"])
async def test_an_answer_without_an_end_is_refused(tmp_path: Path, kind: str) -> None:
    sent = 0

    async def answer(request: web.Request, _message: dict[str, Json]) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse(headers={"Content-Type": kind})
        await response.prepare(request)
        await response.write(b'data: {"a": "')
        while sent < 1_000:
            sent += 1
            await response.write(b"x" * 65_536)
        return response

    async with connected(Server(answer), tmp_path, max_message_bytes=100_000) as call:
        with pytest.raises(ProtocolError, match="100000"):
            await call()
    assert sent < 1_000


@pytest.mark.parametrize(
    ("headers", "body", "error"),
    [
        ({"Content-Type": "text/html"}, b"<html>", ProtocolError),
        ({"Content-Type": "application/json"}, b'{"jsonrpc":', ProtocolError),
        ({"Content-Type": "application/json", "Content-Encoding": "br"}, b"x", ProtocolError),
    ],
)
async def test_what_is_no_answer_is_refused(
    tmp_path: Path, headers: dict[str, str], body: bytes, error: type[Exception]
) -> None:
    async def answer(_: web.Request, _message: dict[str, Json]) -> web.StreamResponse:
        return web.Response(body=body, headers=headers)

    async with connected(Server(answer), tmp_path) as call:
        with pytest.raises(error):
            await call()


@pytest.mark.parametrize("status", [302, 307, 400, 429, 500, 503])
async def test_a_refusal_of_http_is_an_error_and_no_redirect_is_followed(
    tmp_path: Path, status: int
) -> None:
    async def answer(_: web.Request, _message: dict[str, Json]) -> web.StreamResponse:
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    async with connected(Server(answer), tmp_path) as call:
        with pytest.raises(HttpStatusError) as refused:
            await call()
        assert refused.value.status == status


async def test_a_call_given_up_hangs_up(tmp_path: Path) -> None:
    gone = asyncio.Event()

    async def answer(request: web.Request, _message: dict[str, Json]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        try:
            while True:
                await response.write(b": still here\n\n")
                await asyncio.sleep(0.01)
        finally:
            gone.set()

    async with connected(Server(answer), tmp_path) as call:
        with pytest.raises(ToolTimeoutError):
            await call(0.1)
        await asyncio.wait_for(gone.wait(), 5)


async def test_a_token_is_sent_and_never_shown(tmp_path: Path) -> None:
    server = Server(echo, token=TOKEN)
    async with connected(server, tmp_path) as call:
        assert await call(text="x") == {"text": "x"}
        server.token = TOKEN * 2
        with pytest.raises(AuthorizationError) as refused:
            await call(text="x")
    assert "s3cret" not in f"{refused.value!r}{refused.value}{refused.value.details}"
    assert "s3cret" not in repr(BearerToken("s3cret"))


async def test_an_address_inside_has_to_be_meant(tmp_path: Path) -> None:
    async with serving(Server(echo)) as url:
        inside = url.replace("127.0.0.1", "ip6-localhost.invalid")
        for wrong in (
            "http://169.254.169.254@127.0.0.1/mcp",
            "file:///etc/passwd",
            "http://0x7f.1/",
        ):
            with pytest.raises(AddressDeniedError):
                async with McpClient("it", ServerConfig(url=wrong), Workspace(tmp_path)) as client:
                    await client.offers()
        async with McpClient("it", ServerConfig(url=inside), Workspace(tmp_path)) as client:
            with pytest.raises(ConnectionLostError):
                await client.offers()
