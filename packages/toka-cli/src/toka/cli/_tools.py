"""`toka tools`: what agents can do, one call of it by hand, and what commands are kept in."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import attrs
import click

from toka.cli._exits import Exit
from toka.cli._manifests import (
    describe,
    manifests_option,
    tool_as_json,
    toolbox_of,
    tools_config_option,
    validate,
)
from toka.cli._openapi import openapi_options
from toka.cli._options import json_option, sandbox_option
from toka.cli._own_token import claims_for
from toka.cli._show import printable
from toka.cli._tools_mcp import mcp
from toka.cli._tools_serve import serve

if TYPE_CHECKING:
    from collections.abc import Iterable

    from toka.cli._toolbox import Toolbox
    from toka.tools import Tool, ToolContext, ToolResult
    from toka.tools.sandbox import SandboxReport


@click.group("tools")
def command() -> None:
    """List tools, call or serve them, and say how far commands can be confined here."""


command.add_command(describe)
command.add_command(mcp)
command.add_command(serve)
command.add_command(validate)


@command.command(
    "list",
    epilog="""\b
Examples:
  toka tools list
  toka tools list --json
  toka tools list --config service.toml
  toka tools list --openapi petstore.yaml --server https://pets.example/v1""",
)
@json_option
@tools_config_option
@manifests_option
@openapi_options
def list_tools(
    *,
    as_json: bool,
    config: Path | None,
    manifests: Path | None,
    openapi: Path | None,
    server: str,
    secrets: tuple[str, ...],
) -> int:
    """List the tools that agents can be allowed, or those of an OpenAPI document."""
    from toka.tools import installed_tools  # noqa: PLC0415 - not for --help

    tools = list(toolbox_of(config, manifests, openapi, server, secrets).registry)
    if as_json:
        click.echo(json.dumps([tool_as_json(tool) for tool in tools]))
        return Exit.MET
    for tool in tools:
        click.echo(f"{click.style(tool.name, bold=True)}  {tool.side_effect}")
        click.echo(f"    {printable(tool.description, 400)}")
        click.echo(f"    takes {', '.join(_parameters(tool)) or 'nothing'}")
    for name, distribution in installed_tools().items() if openapi is None else ():
        click.echo(f"{name}  installed by {distribution}")
    return Exit.MET


def _parameters(tool: Tool) -> Iterable[str]:
    properties, required = tool.parameters.get("properties"), tool.parameters.get("required")
    needed = required if isinstance(required, list) else []
    for name in properties if isinstance(properties, dict) else ():
        yield name if name in needed else f"[{name}]"


@command.command(
    "call",
    epilog="""\b
Examples:
  toka tools call list_files --args '{"path": "."}' --allow "fs:read:$PWD/**"
  toka tools call read_file --args - --allow 'fs:read:/etc/hostname' < arguments.json
  toka tools call list_pets --openapi petstore.yaml --allow 'net:get:https://pets.example/**'

Nothing is allowed but what --allow says, and nothing of this is recorded in a log.""",
)
@click.argument("name")
@click.option("--args", "arguments", default="{}", help="A JSON object; - reads it from input.")
@click.option("--allow", "permissions", multiple=True, help="A permission; repeatable.")
@sandbox_option
@tools_config_option
@manifests_option
@openapi_options
def call(
    *,
    name: str,
    arguments: str,
    permissions: tuple[str, ...],
    sandbox: str,
    config: Path | None,
    manifests: Path | None,
    openapi: Path | None,
    server: str,
    secrets: tuple[str, ...],
) -> int:
    """Call the tool NAME under a token with the given permissions, and print its result."""
    if arguments == "-":
        arguments = sys.stdin.read()
    toolbox = toolbox_of(config, manifests, openapi, server, secrets)
    result = anyio.run(_call, toolbox, name, arguments, _context(permissions, sandbox))
    click.echo(json.dumps(result.value, indent=2, ensure_ascii=False))
    if result.truncated:
        click.echo("The result is incomplete: a limit was reached.", err=True)
    return Exit.MET


async def _call(toolbox: Toolbox, name: str, arguments: str, context: ToolContext) -> ToolResult:
    async with toolbox.entered() as registry:
        return await registry.call(name, arguments, context)


def _context(permissions: tuple[str, ...], sandbox: str) -> ToolContext:
    """Return the conditions of a call that is allowed what a token says, made and checked here."""
    from toka.tools import (  # noqa: PLC0415 - not for --help
        SandboxLevel,
        SandboxPolicy,
        ToolContext,
        Workspace,
    )
    from toka.types import SystemClock  # noqa: PLC0415

    clock = SystemClock()
    claims = claims_for(permissions, clock)
    policy = SandboxPolicy(SandboxLevel(sandbox))
    context = ToolContext(Workspace(Path.cwd()), claims.granted, sandbox=policy)
    return attrs.evolve(context, clock=clock)


@command.command("sandbox", epilog="\b\nExample:\n  toka tools sandbox --json")
@json_option
def sandbox_report(*, as_json: bool) -> int:
    """Let a command try to get out of each level of the sandbox, and say which levels hold here."""
    reports = anyio.run(_prove_all)
    if as_json:
        facts = {one.level.value: {"proven": one.proven, **one.facts} for one in reports}
        click.echo(json.dumps(facts))
        return Exit.MET
    for one in reports:
        held = click.style("holds", fg="green") if one.proven else click.style("fails", fg="red")
        click.echo(f"{one.level:<10}  {held}  {one.weaknesses or f'{len(one.facts)} ways tried'}")
    return Exit.MET


async def _prove_all() -> list[SandboxReport]:
    from toka.tools import SandboxLevel  # noqa: PLC0415 - not for --help
    from toka.tools.sandbox import prove  # noqa: PLC0415

    return [await prove(level) for level in SandboxLevel]
