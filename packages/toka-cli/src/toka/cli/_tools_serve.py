"""`toka tools serve`: tools for clients of the Model Context Protocol."""

from __future__ import annotations

import logging
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import attrs
import click

from toka.cli._data_directory import DataDirectory
from toka.cli._exits import Exit
from toka.cli._manifests import manifests_option, toolbox_of, tools_config_option
from toka.cli._openapi import openapi_options
from toka.cli._options import data_dir_option, sandbox_option
from toka.types import SystemClock

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from toka.tools import ToolContext, ToolRegistry
    from toka.tools.mcp.server import Gate, McpServer


@click.command(
    "serve",
    epilog="""\b
Examples:
  toka tools serve --allow "fs:read:$PWD/**"
  toka tools serve --tool read_file --tool list_files --allow "fs:read:$PWD/**"
  TOKA_TOKEN=... toka tools serve
  toka tools serve --http --port 8931

Over standard input and output, the client may do what --allow says, or what the token in
TOKA_TOKEN grants. Over HTTP every request brings a token of the data directory, as made by
`toka token mint`; with --allow, none is needed, and whatever runs on this machine may do what it
says. What is in the data directory is out of reach of every tool.""",
)
@click.option("--http", is_flag=True, help="Listen on HTTP, rather than on standard input.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address for --http.")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=8931,
    show_default=True,
    help="The port for --http; 0 for any that is free.",
)
@click.option("--public-url", help="What clients call it, where a proxy stands in front.")
@click.option("--tool", "names", multiple=True, help="Serve this one; repeatable. All by default.")
@click.option(
    "--allow", "allowed", metavar="PERMISSION", multiple=True, help="A permission; repeatable."
)
@click.option("--token", envvar="TOKA_TOKEN", help="Capability token; TOKA_TOKEN by default.")
@click.option(
    "--explain-refusals",
    is_flag=True,
    help="Tell a client that was refused which permission was missing.",
)
@sandbox_option
@data_dir_option
@tools_config_option
@manifests_option
@openapi_options
def serve(
    *,
    http: bool,
    host: str,
    port: int,
    public_url: str | None,
    names: tuple[str, ...],
    allowed: tuple[str, ...],
    token: str | None,
    explain_refusals: bool,
    sandbox: str,
    data_dir: Path,
    config: Path | None,
    manifests: Path | None,
    openapi: Path | None,
    server: str,
    secrets: tuple[str, ...],
) -> int:
    """Serve tools to clients of the Model Context Protocol, of either era."""
    from toka.cli._signals import until_stopped  # noqa: PLC0415 - not for --help

    if not logging.getLogger().hasHandlers():
        logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(message)s")
    data = DataDirectory(data_dir.absolute())
    toolbox = toolbox_of(config, manifests, openapi, server, secrets, protected=(data.path,))
    toolbox = attrs.evolve(toolbox, registry=_chosen(toolbox.registry, names))
    wanted = _Wanted(data, allowed, None if allowed else token, explain_refusals)
    context = _context(allowed, sandbox, data)

    async def work() -> None:
        async with toolbox.entered() as registry:
            if http:
                await _listen(wanted, registry, context, host, port, public_url)
            else:
                await _pipe(wanted, registry, context)

    anyio.run(until_stopped, work)
    return Exit.MET


@attrs.frozen
class _Wanted:
    data: DataDirectory
    allowed: tuple[str, ...]
    token: str | None = attrs.field(repr=False)
    explain: bool


def _chosen(registry: ToolRegistry, names: tuple[str, ...]) -> ToolRegistry:
    from toka.tools import ToolRegistry as Registry  # noqa: PLC0415 - not for --help

    return Registry.of(registry.get(name) for name in names) if names else registry


def _context(allowed: tuple[str, ...], sandbox: str, data: DataDirectory) -> ToolContext:
    from toka.capability.core import PermissionSet  # noqa: PLC0415 - not for --help
    from toka.tools import (  # noqa: PLC0415
        SandboxLevel,
        SandboxPolicy,
        ToolContext,
        Workspace,
    )

    workspace = Workspace(Path.cwd(), protected=(data.path,))
    policy = SandboxPolicy(SandboxLevel(sandbox))
    return ToolContext(workspace, PermissionSet.parse(allowed), sandbox=policy)


def _server(wanted: _Wanted, registry: ToolRegistry, context: ToolContext) -> McpServer:
    from importlib.metadata import version  # noqa: PLC0415 - not for --help

    from toka.tools.mcp.server import McpServer, ServerOptions  # noqa: PLC0415

    options = ServerOptions(version=version("toka-tools"), explain_refusals=wanted.explain)
    return McpServer(registry, context, options)


@asynccontextmanager
async def _gate(wanted: _Wanted) -> AsyncGenerator[Gate]:
    """Lend what lets callers in: everybody where --allow says what they may do, or with tokens."""
    from toka.tools.mcp.server import OpenGate, TokenGate  # noqa: PLC0415 - aiohttp

    if wanted.allowed:
        yield OpenGate()
        return
    from toka.cli._authenticator import open_authenticator  # noqa: PLC0415 - not for --help
    from toka.orchestration import VAULT  # noqa: PLC0415

    clock = SystemClock()
    keys = wanted.data.keys(clock)
    if keys.made:
        click.echo(f"Made a signing key: {keys.path} (mode 0600).", err=True)
    async with open_authenticator(wanted.data, keys, clock) as access:
        yield TokenGate(access.authenticator.authenticate, VAULT)


async def _pipe(wanted: _Wanted, registry: ToolRegistry, context: ToolContext) -> None:
    from toka.tools.mcp.server import serve_stdio  # noqa: PLC0415 - aiohttp

    server = _server(wanted, registry, context)
    if not wanted.allowed and wanted.token is None:
        click.echo("Nothing is allowed: there is neither --allow nor a token.", err=True)
        async with server:
            await serve_stdio(server)
        return
    async with _gate(wanted) as gate, server:
        await serve_stdio(server, gate=gate, credential=wanted.token)


async def _listen(
    wanted: _Wanted,
    registry: ToolRegistry,
    context: ToolContext,
    host: str,
    port: int,
    public_url: str | None,
) -> None:
    from toka.tools.mcp.server import HttpOptions, serve_http  # noqa: PLC0415 - aiohttp

    async with (
        _gate(wanted) as gate,
        _server(wanted, registry, context) as server,
        serve_http(
            server, HttpOptions(host=host, port=port, gate=gate, public_url=public_url)
        ) as url,
    ):
        click.echo(f"Serving {len(registry)} tools on {url}")
        await anyio.sleep_forever()
