"""One server of the Model Context Protocol with one tool that adds, for the suite beside this file.

    python -P _mcp_serve.py ours|sdk|floor stdio|http

Over HTTP its URL is printed. The floor answers lines of JSON without knowing any protocol.
"""
# The official SDK is installed for benchmarks only.
# pyright: basic, reportMissingImports=false
# ruff: noqa: PLC0415 - each server loads its own

from __future__ import annotations

import asyncio
import json
import socket
import sys
from pathlib import Path


async def ours(transport: str) -> None:
    """Serve as `toka tools serve` does."""
    from toka.capability.core import PermissionSet
    from toka.tools import ToolContext, ToolRegistry, Workspace, tool
    from toka.tools.mcp.server import McpServer, serve_http, serve_stdio

    @tool(side_effect="none", taints=False)
    async def add(first: int, second: int) -> int:
        """Add two numbers."""
        return first + second

    context = ToolContext(Workspace(Path.cwd()), PermissionSet.parse([]))
    async with McpServer(ToolRegistry.of([add]), context) as server:
        if transport == "stdio":
            await serve_stdio(server)
            return
        async with serve_http(server) as url:
            print(url, flush=True)
            await asyncio.to_thread(sys.stdin.read)


def sdk(transport: str) -> None:
    """Serve with the official SDK."""
    from mcp.server.mcpserver import MCPServer

    server = MCPServer("bench", log_level="ERROR")

    @server.tool()
    async def add(first: int, second: int) -> int:
        """Add two numbers."""
        return first + second

    if transport == "stdio":
        server.run("stdio")
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    print(f"http://127.0.0.1:{port}/mcp", flush=True)
    server.run("streamable-http", host="127.0.0.1", port=port)


async def floor() -> None:
    """Answer each line with a line, by asyncio and `json` alone."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    transport, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, sys.stdout)
    while line := await reader.readline():
        asked = json.loads(line)
        arguments = asked["params"]["arguments"]
        total = arguments["first"] + arguments["second"]
        result = {"content": [{"type": "text", "text": str(total)}]}
        answer = {"jsonrpc": "2.0", "id": asked["id"], "result": result}
        transport.write(json.dumps(answer).encode() + b"\n")


if __name__ == "__main__":
    kind, way = sys.argv[1:]
    if kind == "sdk":
        sdk(way)
    else:
        asyncio.run(ours(way) if kind == "ours" else floor())
