"""The official SDK's client, which nobody here wrote, over both transports in both eras."""

from __future__ import annotations

import sys
import textwrap
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from .serving import listening, server_of, until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

# Not imported: the type checkers run where the SDK may be missing.
mcp = pytest.importorskip("mcp", reason="the official SDK is not installed")
types = pytest.importorskip("mcp_types")
stdio = pytest.importorskip("mcp.client.stdio")

pytestmark = pytest.mark.anyio

PROGRAM = textwrap.dedent("""
    import asyncio
    from pathlib import Path
    from toka.capability.core import PermissionSet
    from toka.tools import ToolContext, ToolRegistry, Workspace
    from toka.tools.mcp.server import McpServer, serve_stdio

    async def main() -> None:
        root = Path.cwd()
        granted = PermissionSet.parse([f"fs:*:{root}/**"])
        context = ToolContext(Workspace(root), granted)
        async with McpServer(ToolRegistry.builtin(), context) as server:
            await serve_stdio(server)

    asyncio.run(main())
""")


@asynccontextmanager
async def over_stdio(folder: Path, mode: str) -> AsyncGenerator[Any]:
    program = folder / "serve.py"
    program.write_text(PROGRAM)
    parameters = stdio.StdioServerParameters(
        command=sys.executable, args=["-W", "error", str(program)], cwd=str(folder)
    )
    async with mcp.Client(stdio.stdio_client(parameters), mode=mode) as client:
        yield client


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_built_in_tools_are_listed_and_called_over_stdio(tmp_path: Path, mode: str) -> None:
    async with over_stdio(tmp_path, mode) as client:
        assert client.protocol_version == ("2025-11-25" if mode == "legacy" else "2026-07-28")
        listed = {each.name: each for each in (await client.list_tools()).tools}
        annotations = listed["read_file"].annotations
        assert annotations is not None
        assert annotations.read_only_hint is True
        arguments = {"path": "a.txt", "content": "one\n"}
        written = await client.call_tool("write_file", arguments)
        assert not written.is_error
        read = await client.call_tool("read_file", {"path": "a.txt"})
        assert read.structured_content is not None
        assert read.structured_content["content"] == "one\n"
        refused = await client.call_tool("read_file", {"path": "/etc/passwd"})
        assert refused.is_error


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_tools_are_called_and_tell_their_progress_over_http(mode: str) -> None:
    told: list[float] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        told.append(progress)
        assert (total, message) == (3, None)

    async with listening(server_of()) as web, mcp.Client(web.url, mode=mode) as client:
        result = await client.call_tool("add", {"first": 2, "second": 3})
        assert isinstance(result.content[0], types.TextContent)
        assert result.content[0].text == "5"
        await client.call_tool("wait", {"seconds": 0.01}, progress_callback=on_progress)
        assert told == [0, 1, 2]
        with pytest.raises(mcp.MCPError, match="no such tool"):
            await client.call_tool("nothing", {})


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_a_person_is_asked_through_the_client(mode: str) -> None:
    async def person(context: Any, params: Any) -> Any:
        assert context is not None
        assert params.message == "Who are you?"
        return types.ElicitResult(action="accept", content={"name": "Anna"})

    async with (
        listening(server_of()) as web,
        mcp.Client(web.url, mode=mode, elicitation_callback=person) as client,
    ):
        result = await client.call_tool("greet", {})
        assert isinstance(result.content[0], types.TextContent)
        assert result.content[0].text == "Hello, Anna!"


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_a_call_that_the_client_gives_up_ends_here(mode: str) -> None:
    server = server_of()
    async with listening(server) as web, mcp.Client(web.url, mode=mode) as client:
        with anyio.move_on_after(0.2):
            await client.call_tool("wait", {"seconds": 300})
        await until(lambda: server.running == 0)
