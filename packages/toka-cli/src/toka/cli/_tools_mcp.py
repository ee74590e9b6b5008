"""`toka tools mcp`: tools of other servers, looked at and approved by a person before any use."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import anyio
import attrs
import click

from toka.cli._errors import UsageError
from toka.cli._exits import Exit
from toka.cli._options import json_option
from toka.cli._own_token import claims_for
from toka.cli._show import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from toka.tools import ToolResult
    from toka.tools.mcp.client import Definition, McpHost, Offer, RemoteTool

F = TypeVar("F", bound="Callable[..., object]")
_DESCRIPTION = 2_000


@click.group("mcp")
def mcp() -> None:
    """Look at, approve and call tools of other MCP servers.

    FILE says which servers there are (TOML or YAML). What was approved is beside it, in
    FILE.pins.json, which belongs under version control: a change of a definition is a change there.
    """


def file_argument(function: F) -> F:
    """Add `FILE`."""
    kind = click.Path(path_type=Path, exists=True, dir_okay=False)
    return click.argument("file", type=kind)(function)


def pins_of(file: Path) -> Path:
    """Return where what was approved of a file's servers is written."""
    return file.with_name(f"{file.name}.pins.json")


def host_of(file: Path) -> McpHost:
    """Return the servers of a file with what was approved of them. Starts nothing.

    Raises:
        UsageError: One of the two files cannot be understood.
    """
    from toka.tools import Workspace  # noqa: PLC0415 - not for --help
    from toka.tools.mcp.client import (  # noqa: PLC0415 - see above
        InvalidServerError,
        McpHost,
        Pins,
        load_servers,
    )

    try:
        servers, pins = load_servers(file), Pins.load(pins_of(file))
    except InvalidServerError as error:
        raise UsageError(error.message, hint=error.hint) from error
    return McpHost(servers, Workspace(Path.cwd()), pins)


@mcp.command("list", epilog="\b\nExample:\n  toka tools mcp list servers.toml --json")
@file_argument
@json_option
def list_approved(*, file: Path, as_json: bool) -> int:
    """List the approved tools of all servers in FILE. Starts none of them."""
    tools = host_of(file).tools()
    if as_json:
        click.echo(json.dumps([_as_json(tool) for tool in tools]))
        return Exit.MET
    for tool in tools:
        click.echo(f"{click.style(tool.name, bold=True)}  {tool.side_effect}  needs {tool.request}")
        click.echo(f"    {printable(tool.description, 400)}")
    return Exit.MET


def _as_json(tool: RemoteTool) -> dict[str, object]:
    return {
        "name": tool.name,
        "server": tool.definition.server,
        "tool": tool.definition.name,
        "sha256": tool.definition.sha256,
        "description": tool.description,
        "side_effect": tool.side_effect,
        "taints": tool.taints,
        "request": tool.request,
        "parameters": tool.parameters,
    }


@mcp.command("review", epilog="\b\nExample:\n  toka tools mcp review servers.toml")
@file_argument
@json_option
def review(*, file: Path, as_json: bool) -> int:
    """Start the servers of FILE and say what stands against each tool that they offer.

    The exit status is 1 if anything is new, changed or unusable.
    """
    offers = anyio.run(_offers, host_of(file), None)
    if as_json:
        click.echo(json.dumps([_judged(server, offer) for server, offer in offers]))
    else:
        for server, offer in offers:
            _show(server, offer)
    return Exit.MET if all(offer.refusal is None for _, offer in offers) else Exit.NOT_MET


async def _offers(host: McpHost, server: str | None) -> list[tuple[str, Offer]]:
    async with host:
        clients = [host.clients[server]] if server is not None else list(host.clients.values())
        return [(client.name, offer) for client in clients for offer in await client.offers()]


def _judged(server: str, offer: Offer) -> dict[str, object]:
    refusal = offer.refusal
    return {
        "server": server,
        "tool": offer.name,
        "approved": refusal is None,
        "code": None if refusal is None else refusal.code,
        "reason": None if refusal is None else refusal.message,
        "details": {} if refusal is None else refusal.details,
    }


def _show(server: str, offer: Offer) -> None:
    refusal = offer.refusal
    name = click.style(f"{server}/{offer.name}", bold=True)
    if refusal is None:
        click.echo(f"{name}  {click.style('approved', fg='green')}")
        return
    click.echo(f"{name}  {click.style(refusal.code, fg='red')}  {refusal.message}")
    changes = refusal.details.get("changes")
    for change in changes if isinstance(changes, list) else ():
        click.echo(f"    {printable(str(change), 400)}")


@mcp.command(
    "approve",
    epilog="""\b
Examples:
  toka tools mcp approve servers.toml time
  toka tools mcp approve servers.toml time get_current_time --yes""",
)
@file_argument
@click.argument("server")
@click.argument("tools", nargs=-1)
@click.option("--yes", is_flag=True, help="Do not ask.")
def approve(*, file: Path, server: str, tools: tuple[str, ...], yes: bool) -> int:
    """Show what SERVER offers and is not approved, and approve it: all, or only TOOLS."""
    host = host_of(file)
    if server not in host.clients:
        raise UsageError(f"There is no server {server[:80]!r}. Known: {', '.join(host.clients)}.")
    offers = [offer for _, offer in anyio.run(_offers, host, server)]
    missing = set(tools) - {offer.name for offer in offers}
    if missing:
        raise UsageError(f"{server} offers no tool {', '.join(sorted(missing))}.")
    fresh = [offer for offer in offers if offer.refusal and (not tools or offer.name in tools)]
    approved = [one for offer in fresh if (one := _asked(server, offer, yes=yes)) is not None]
    host.pins.approve(approved).save(pins_of(file))
    click.echo(f"{len(approved)} approved, in {pins_of(file)}")
    return Exit.MET


def _asked(server: str, offer: Offer, *, yes: bool) -> Definition | None:
    """Show all of a definition, as a model reads all of it, and return it if it is approved."""
    _show(server, offer)
    if offer.definition is None:
        return None
    for line in json.dumps(offer.definition.content, indent=2).splitlines():
        click.echo(f"    {printable(line, _DESCRIPTION)}")
    return offer.definition if yes or click.confirm("Approve it?", default=False) else None


@mcp.command("withdraw", epilog="\b\nExample:\n  toka tools mcp withdraw servers.toml time")
@file_argument
@click.argument("server")
@click.argument("tool", required=False)
def withdraw(*, file: Path, server: str, tool: str | None) -> int:
    """Approve TOOL of SERVER no longer, or none of its tools."""
    host = host_of(file)
    host.pins.withdraw(server, tool).save(pins_of(file))
    return Exit.MET


@mcp.command(
    "call",
    epilog="""\b
Example:
  toka tools mcp call servers.toml time__get_current_time --args '{"timezone": "UTC"}' \\
      --allow 'mcp:call:time/*'

Nothing is allowed but what --allow says, and nothing of this is recorded in a log.""",
)
@file_argument
@click.argument("name")
@click.option("--args", "arguments", default="{}", help="A JSON object.")
@click.option("--allow", "permissions", multiple=True, help="A permission; repeatable.")
def call(*, file: Path, name: str, arguments: str, permissions: tuple[str, ...]) -> int:
    """Call the approved tool NAME of a server in FILE, and print its result."""
    result = anyio.run(_call, host_of(file), name, arguments, permissions)
    click.echo(json.dumps(result.value, indent=2, ensure_ascii=False))
    if result.truncated:
        click.echo("The result is incomplete: a limit was reached.", err=True)
    return Exit.MET


async def _call(host: McpHost, name: str, arguments: str, permissions: Iterable[str]) -> ToolResult:
    from toka.tools import ToolContext, ToolRegistry  # noqa: PLC0415 - not for --help
    from toka.types import SystemClock  # noqa: PLC0415 - see above

    clock = SystemClock()
    granted = claims_for(tuple(permissions), clock).granted
    context = attrs.evolve(ToolContext(host.workspace, granted), clock=clock)
    async with host:
        return await ToolRegistry.of(host.tools()).call(name, arguments, context)
