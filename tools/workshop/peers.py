"""MCP servers that others wrote, and what our client does with each of them.

The servers come from PyPI and npm, into the place of `tools/conformance`; none of them is ours to
lock. Each is started in the sandbox, reviewed, approved and called.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import anyio
import attrs

from toka.capability.core import PermissionSet
from toka.tools import ToolContext, ToolRegistry, ToolTimeoutError, Workspace
from toka.tools.mcp.client import McpClient, Pins, ServerConfig
from toka.types import NANOSECONDS
from workshop import conformance, uv
from workshop.shell import Failure, run, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toka.types import Json, JsonObject

PYTHON: Final = ("mcp-server-fetch", "mcp-server-git", "mcp-server-time")
NPM: Final = (
    "@modelcontextprotocol/server-everything",
    "@modelcontextprotocol/server-filesystem",
    "@modelcontextprotocol/server-memory",
    "@modelcontextprotocol/server-sequential-thinking",
)
NOWHERE: Final = "http://127.0.0.1:9/"


@attrs.frozen
class Call:
    """One call, and a text that its result must hold."""

    tool: str
    arguments: JsonObject
    holds: str


@attrs.frozen
class Peer:
    """One server."""

    name: str
    program: str
    revision: str
    tools: int
    """How many it offers at least."""
    calls: tuple[Call, ...]
    args: tuple[str, ...] = ()


def peers(root: str) -> tuple[Peer, ...]:
    """Return all of them, for work in one directory."""
    new, old = "2026-07-28", "2025-11-25"
    entity: Json = {"name": "toka", "entityType": "system", "observations": ["runs"]}
    thought: JsonObject = {
        "thought": "Think.",
        "nextThoughtNeeded": False,
        "thoughtNumber": 1,
        "totalThoughts": 1,
    }
    clock = Call("get_current_time", {"timezone": "UTC"}, "UTC")
    remember = Call("create_entities", {"entities": [entity]}, "toka")
    think = Call("sequentialthinking", thought, "1")
    return (
        Peer("time", "mcp-server-time", new, 2, (clock,)),
        Peer(
            "git", "mcp-server-git", new, 12, (Call("git_status", {"repo_path": root}, "branch"),)
        ),
        Peer("fetch", "mcp-server-fetch", new, 1, (Call("fetch", {"url": NOWHERE}, ""),)),
        Peer(
            "everything",
            "mcp-server-everything",
            old,
            10,
            (
                Call("echo", {"message": "hello"}, "hello"),
                Call("get-structured-content", {"location": "New York"}, "temperature"),
                Call("get-tiny-image", {}, "image/png"),
                Call("trigger-long-running-operation", {"duration": 1, "steps": 2}, "completed"),
                Call("simulate-research-query", {"topic": "tools"}, "tools"),
            ),
            ("stdio",),
        ),
        Peer(
            "files",
            "mcp-server-filesystem",
            old,
            10,
            (
                Call("write_file", {"path": f"{root}/a.txt", "content": "text"}, "wrote"),
                Call("read_text_file", {"path": f"{root}/a.txt"}, "text"),
                Call("read_text_file", {"path": "/etc/hostname"}, "is_error"),
            ),
            (root,),
        ),
        Peer("memory", "mcp-server-memory", old, 9, (remember,)),
        Peer("thinking", "mcp-server-sequential-thinking", old, 1, (think,)),
    )


def main(arguments: Sequence[str]) -> int:
    """Go through the servers; the exit status is 1 if one is not what it was."""
    parser = argparse.ArgumentParser("tools/peers", description=__doc__)
    parser.add_argument("--only", choices=[peer.name for peer in peers("")])
    options = parser.parse_args(arguments)
    install()
    failed = False
    with tempfile.TemporaryDirectory(prefix="toka-peers-") as folder:
        root = str(Path(folder).resolve())
        subprocess.run(["git", "init", "--quiet", root], check=True)  # noqa: S603, S607 - ours
        for peer in peers(root):
            if options.only in (None, peer.name):
                fault = anyio.run(try_peer, peer, root)
                say(f"peers: {peer.name}: {fault or 'as it should be'}")
                failed |= bool(fault)
    return int(failed)


def install() -> None:
    """Install what is missing.

    Raises:
        Failure: It cannot be had.
    """
    conformance.installed()
    place = conformance.PLACE
    if not (place / "bin/mcp-server-time").exists():
        run([uv.path(), "pip", "install", "--quiet", "--python", place / "bin/python", *PYTHON])
    if not (place / "node_modules/.bin/mcp-server-everything").exists():
        conformance.npm(
            conformance.node(), "install", "--no-package-lock", "--no-audit", "--no-fund", *NPM
        )


def command(peer: Peer) -> tuple[str, tuple[str, ...]]:
    """Return program and arguments.

    Raises:
        Failure: It is not installed.
    """
    script = conformance.PLACE / "bin" / peer.program
    if script.exists():
        return str(script), peer.args
    linked = conformance.PLACE / "node_modules/.bin" / peer.program
    if not linked.exists():
        raise Failure(f"{peer.program} is not there")
    return str(conformance.node()), (str(linked.resolve()), *peer.args)


async def try_peer(peer: Peer, root: str) -> str:
    """Review, approve and call; return what is wrong, or nothing."""
    program, args = command(peer)
    workspace = Workspace(root)
    client = McpClient(peer.name, ServerConfig(command=program, args=args, cwd=root), workspace)
    async with client:
        offers = await client.offers()
        definitions = [offer.definition for offer in offers if offer.definition is not None]
        if client.revision != peer.revision or not peer.tools <= len(definitions) == len(offers):
            return f"{client.revision}, {len(definitions)} of {len(offers)} tools usable"
        client.pins = Pins().approve(definitions)
        await client.refresh()
        registry = ToolRegistry.of(client.tools())
        granted = PermissionSet.parse([f"mcp:call:{peer.name}/*"])
        context = ToolContext(workspace, granted, timeout_ns=30 * NANOSECONDS)
        for call in peer.calls:
            tool = next(one for one in client.tools() if one.definition.name == call.tool)
            result = await registry.call(tool.name, call.arguments, context)
            if call.holds not in str(cast("object", result.value)):
                return f"{call.tool} returned {str(result.value)[:200]!r}"
        return await cancelled(peer, registry, context)


async def cancelled(peer: Peer, registry: ToolRegistry, context: ToolContext) -> str:
    """Give a long call up, where there is one, and see that the server still answers."""
    if peer.name != "everything":
        return ""
    short = attrs.evolve(context, timeout_ns=NANOSECONDS // 2)
    long: JsonObject = {"duration": 20, "steps": 20}
    try:
        await registry.call("everything__trigger_long_running_operation", long, short)
    except ToolTimeoutError:
        await registry.call("everything__echo", {"message": "still here"}, context)
        return ""
    return "a long call was not ended"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
