"""Against servers of the official SDK, which are none of ours."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import pytest

from toka.capability.core import PermissionSet
from toka.tools import ToolContext, ToolRegistry, Workspace
from toka.tools.mcp.client import McpClient, Pins, ServerConfig

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

pytestmark = pytest.mark.anyio

pytest.importorskip("mcp", reason="needs the extra toka-tools[mcp]")

PROGRAM = '''
import sys
from mcp.server.mcpserver import Context, MCPServer


server = MCPServer("official")

@server.tool()
def add(first: int, second: int = 1) -> int:
    """Add two numbers."""
    return first + second

@server.tool()
async def count(ctx: Context) -> str:
    """Count to three."""
    for number in range(3):
        await ctx.report_progress(number + 1, 3)
    return "counted"

@server.tool()
async def fail() -> str:
    """Fail."""
    raise ValueError("as it should")

if sys.argv[1] == "stdio":
    server.run("stdio")
else:
    import socket, uvicorn
    listening = socket.create_server(("127.0.0.1", 0))
    print(listening.getsockname()[1], flush=True)
    uvicorn.Server(uvicorn.Config(server.streamable_http_app(), log_level="error")).run([listening])
'''


@asynccontextmanager
async def official(transport: str, revision: str, root: Path) -> AsyncGenerator[McpClient]:
    program = root / "official.py"
    program.write_text(PROGRAM)
    workspace = Workspace(root)
    if transport == "stdio":
        config = ServerConfig(
            command=sys.executable,
            args=(str(program), "stdio"),
            revision=revision,  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - one of them
        )
        async with McpClient("it", config, workspace) as client:
            yield client
        return
    async with await anyio.open_process([sys.executable, str(program), "http"]) as process:
        assert process.stdout is not None
        port = int(await process.stdout.receive())
        config = ServerConfig(
            url=f"http://127.0.0.1:{port}/mcp",
            revision=revision,  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - one of them
        )
        try:
            async with McpClient("it", config, workspace) as client:
                yield client
        finally:
            process.terminate()


@pytest.mark.parametrize("revision", ["2025-11-25", "2026-07-28"])
@pytest.mark.parametrize("transport", ["stdio", "http"])
async def test_the_official_server_is_understood(
    tmp_path: Path, transport: str, revision: str
) -> None:
    steps: list[float] = []
    async with official(transport, revision, tmp_path) as client:
        client.on_progress = lambda _, done, __, ___: steps.append(done)
        offers = await client.offers()
        assert client.revision == revision
        assert sorted(one.name for one in offers) == ["add", "count", "fail"]
        client.pins = Pins().approve(one.definition for one in offers if one.definition)
        await client.refresh()
        registry = ToolRegistry.of(client.tools())
        context = ToolContext(Workspace(tmp_path), PermissionSet.parse(["mcp:call:it/*"]))
        added = await registry.call("it__add", {"first": 2}, context)
        assert added.value == {"structured": {"result": 3}, "text": "3"}
        await registry.call("it__count", {}, context)
        assert steps == [1, 2, 3]
        failed = await registry.call("it__fail", {}, context)
        assert isinstance(failed.value, dict)
        assert failed.value["is_error"] is True
