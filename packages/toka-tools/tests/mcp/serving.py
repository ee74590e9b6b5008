"""What the tests of the server share: a few tools, and two raw ways of talking to them."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import attrs

from toka.capability.core import PermissionSet
from toka.tools import ToolContext, ToolRegistry, Workspace, tool
from toka.tools.mcp.server import (
    HttpOptions,
    McpServer,
    Question,
    ServerOptions,
    conversation,
    serve_http,
    serve_stdio,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence

    from toka.types import JsonObject

NEW, OLD = "2026-07-28", "2025-11-25"
NAME: JsonObject = {
    "type": "object",
    "properties": {"name": {"type": "string"}},
    "required": ["name"],
}
TASKS: JsonObject = {"extensions": {"io.modelcontextprotocol/tasks": {}}}


@tool(side_effect="none", taints=False)
async def add(first: int, second: int = 1) -> int:
    """Add two numbers."""
    return first + second


@tool(side_effect="none")
async def fail() -> None:
    """Fail as no tool should."""
    raise RuntimeError("a secret of the server")


@tool(side_effect="none", taints=False)
async def wait(seconds: float) -> str:
    """Wait, and say how far it is."""
    talk = conversation()
    assert talk is not None
    for done in range(3):
        await talk.progress(done, 3)
        await asyncio.sleep(seconds / 3)
    return "waited"


@tool(side_effect="none", taints=False)
async def greet() -> str:
    """Ask who is there, and greet."""
    talk = conversation()
    assert talk is not None
    answer = (await talk.ask({"who": Question.form("Who are you?", NAME)}))["who"]
    content = answer.get("content")
    return f"Hello, {content['name']}!" if isinstance(content, dict) else str(answer["action"])


@tool(
    side_effect="read_only",
    requests=lambda arguments, _: [f"vault:read:{arguments['name']}"],
)
async def secret(context: ToolContext, name: str) -> str:
    """Read a secret that needs a permission."""
    assert context.granted.covers(f"vault:read:{name}")
    return f"{name} is well"


@tool(side_effect="none", taints=False)
async def trace(context: ToolContext) -> dict[str, str]:
    """Return what commands are told of the trace, and the key of the call."""
    return {**context.environment, "key": context.idempotency_key}


TOOLS = (add, fail, wait, greet, secret, trace)


def server_of(*grants: str, registry: ToolRegistry | None = None, **options: Any) -> McpServer:
    context = ToolContext(Workspace(Path.cwd()), PermissionSet.parse(grants))
    registry = registry if registry is not None else ToolRegistry.of(TOOLS)
    return McpServer(registry, context, ServerOptions(**options))


def new(capabilities: JsonObject | None = None, **params: Any) -> dict[str, Any]:
    meta = {
        "io.modelcontextprotocol/protocolVersion": NEW,
        "io.modelcontextprotocol/clientCapabilities": capabilities or {},
        **params.pop("meta", {}),
    }
    return {**params, "_meta": meta}


def request(request_id: int | str, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}


def call(request_id: int | str, name: str, params: Mapping[str, Any]) -> dict[str, Any]:
    return request(request_id, "tools/call", {"name": name, **params})


@attrs.define
class Pipes:
    """A client at the other end of the pipes of `serve_stdio`."""

    reader: asyncio.StreamReader
    _write: int

    def send(self, message: object) -> None:
        raw = message if isinstance(message, bytes) else json.dumps(message).encode() + b"\n"
        while raw:
            raw = raw[os.write(self._write, raw) :]

    async def receive(self) -> dict[str, Any]:
        async with asyncio.timeout(10):
            return json.loads(await self.reader.readline())

    async def ask(self, message: object) -> dict[str, Any]:
        self.send(message)
        return await self.receive()

    async def shake_hands(self, capabilities: JsonObject | None = None) -> dict[str, Any]:
        params = {
            "protocolVersion": OLD,
            "capabilities": capabilities or {},
            "clientInfo": {"name": "test", "version": "1"},
        }
        answer = await self.ask(request("hello", "initialize", params))
        self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return answer

    def close(self) -> None:
        os.close(self._write)


@asynccontextmanager
async def piped(server: McpServer, **options: Any) -> AsyncGenerator[Pipes]:
    """Serve over pipes of this process, until the end of the block closes them."""
    their_input, our_output = os.pipe()
    our_input, their_output = os.pipe()
    reader = asyncio.StreamReader(limit=1 << 24)
    with os.fdopen(our_input, "rb", buffering=0) as file:
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, file)
        serving = serve_stdio(server, stdin=their_input, stdout=their_output, **options)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(serving)
            yield Pipes(reader, our_output)
            os.close(our_output)
            await task
        transport.close()
    os.close(their_input)
    os.close(their_output)


@attrs.define
class Web:
    """A client of `serve_http` that sends what it is told."""

    url: str
    http: aiohttp.ClientSession

    def post(
        self, message: object, *, headers: Mapping[str, str] | None = None, bare: bool = False
    ) -> aiohttp.client._RequestContextManager:  # pyright: ignore[reportPrivateUsage]
        given = {} if bare else headers_for(message)
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        sent = {
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            **given,
            **(headers or {}),
        }
        return self.http.post(self.url, data=body, headers=sent)

    async def ask(self, message: object, **more: Any) -> tuple[int, Any]:
        async with self.post(message, **more) as response:
            return response.status, await answer_of(response)

    async def begin(self, capabilities: JsonObject | None = None, **headers: str) -> str:
        params = {"protocolVersion": OLD, "capabilities": capabilities or {}}
        message = request("hello", "initialize", params)
        async with self.post(message, headers=headers) as response:
            assert response.status == 200, await response.text()
            return response.headers["Mcp-Session-Id"]


def headers_for(message: object) -> dict[str, str]:
    """Return the headers that the stateless era wants."""
    params = message.get("params", {}) if isinstance(message, dict) else {}
    if not isinstance(message, dict) or NEW not in params.get("_meta", {}).values():
        return {}
    headers = {"MCP-Protocol-Version": NEW, "Mcp-Method": message["method"]}
    named = params.get("name") or params.get("uri") or params.get("taskId")
    return {**headers, "Mcp-Name": named} if named else headers


async def answer_of(response: aiohttp.ClientResponse) -> Any:
    """Return the last message of a response, whatever form it has."""
    if response.content_type == "text/event-stream":
        return [message async for message in events_of(response)][-1]
    text = await response.text()
    return json.loads(text) if text else None


async def events_of(response: aiohttp.ClientResponse) -> AsyncGenerator[Any]:
    async for line in response.content:
        if line.startswith(b"data: "):
            yield json.loads(line.removeprefix(b"data: "))


@asynccontextmanager
async def listening(server: McpServer, **options: Any) -> AsyncGenerator[Web]:
    """Serve over HTTP on a free port."""
    async with (
        server,
        serve_http(server, HttpOptions(**options)) as url,
        aiohttp.ClientSession() as http,
    ):
        yield Web(url, http)


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something holds, which nobody here could tell us."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for is another process's, or a list
            await asyncio.sleep(0.005)


def texts(answer: Mapping[str, Any]) -> Sequence[str]:
    return [block["text"] for block in answer["result"]["content"]]
