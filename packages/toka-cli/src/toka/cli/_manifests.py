"""`toka tools describe` and `toka tools validate`, and the option that takes manifests as tools."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from toka.cli._errors import UsageError
from toka.cli._exits import Exit
from toka.cli._openapi import openapi_options, registry_of
from toka.cli._options import json_option
from toka.cli._show import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from toka.cli._toolbox import Toolbox
    from toka.tools import Tool, ToolRegistry
    from toka.types import JsonObject

F = TypeVar("F", bound="Callable[..., object]")


def manifests_option(function: F) -> F:
    """Add `--manifests`."""
    return click.option(
        "--manifests",
        type=click.Path(path_type=Path, exists=True, file_okay=False),
        help="Take the tools of the manifests in this directory, too.",
    )(function)


def tools_config_option(function: F) -> F:
    """Add `--config`."""
    return click.option(
        "--config",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        help="Take what [tools] of this service.toml says.",
    )(function)


def toolbox_of(
    config: Path | None,
    manifests: Path | None,
    openapi: Path | None,
    server: str,
    secrets: tuple[str, ...],
    *,
    protected: tuple[Path, ...] = (),
) -> Toolbox:
    """Return the tools that a command line names; MCP servers keep out of what is `protected`.

    Raises:
        UsageError: Two options do not go together.
        ServiceConfigUnusable: The file cannot be read, is wrong, or others may write it.
    """
    from toka.cli._toolbox import Toolbox, make_toolbox  # noqa: PLC0415 - not for --help
    from toka.tools import Workspace  # noqa: PLC0415

    if config is None:
        registry = registry_of(openapi, server, secrets)
        return Toolbox(add_manifests(registry, manifests))
    if openapi is not None or server or secrets:
        raise UsageError(
            "--config and --openapi do not go together.",
            hint="Name the document in [[tools.openapi]].",
        )
    from toka.cli._service_config import read_service_config  # noqa: PLC0415 - only with one

    said = read_service_config(config, needed=True)
    toolbox = make_toolbox(said.tools, Workspace(Path.cwd(), protected=protected))
    add_manifests(toolbox.registry, manifests)
    return toolbox


def add_manifests(registry: ToolRegistry, manifests: Path | None) -> ToolRegistry:
    """Add the tools of a directory to a registry; what is wrong there goes to standard error."""
    if manifests is not None:
        from toka.tools import ManifestDirectory  # noqa: PLC0415 - not for --help

        directory = ManifestDirectory(manifests)
        registry.add_source(directory)
        for problem in directory.problems.values():
            click.echo(printable(problem, 400), err=True)
    return registry


@click.command(
    "describe",
    epilog="""\b
Examples:
  toka tools describe read_file
  toka tools describe date_validator --manifests tools/manifests --json""",
)
@click.argument("name")
@json_option
@tools_config_option
@manifests_option
@openapi_options
def describe(
    *,
    name: str,
    as_json: bool,
    config: Path | None,
    manifests: Path | None,
    openapi: Path | None,
    server: str,
    secrets: tuple[str, ...],
) -> int:
    """Say what the tool NAME does, takes and needs."""
    found = toolbox_of(config, manifests, openapi, server, secrets).registry.get(name)
    if as_json:
        click.echo(json.dumps(_described(found)))
        return Exit.MET
    click.echo(f"{click.style(found.name, bold=True)}  version {found.version}")
    click.echo(f"    {printable(found.description, 2_000)}")
    click.echo(f"side effect  {found.side_effect}{', at worst' if _varies(found) else ''}")
    click.echo(f"result       {'data from outside' if found.taints else 'trusted'}")
    for action in _actions(found):
        click.echo(f"may need     {action}:...")
    for line in _parameters(found):
        click.echo(line)
    return Exit.MET


def tool_as_json(tool: Tool) -> JsonObject:
    """Return what lists of tools say of one."""
    return {
        "name": tool.name,
        "version": tool.version,
        "description": tool.description,
        "side_effect": tool.side_effect,
        "taints": tool.taints,
        "parameters": tool.parameters,
    }


def _described(tool: Tool) -> JsonObject:
    """Return all that there is to know about a tool."""
    return {
        **tool_as_json(tool),
        "honours_idempotency_key": tool.honours_idempotency_key,
        "actions": list(_actions(tool)),
    }


def _varies(tool: Tool) -> bool:
    from toka.tools import VariableEffect  # noqa: PLC0415 - not for --help

    return isinstance(tool, VariableEffect)


def _actions(tool: Tool) -> tuple[str, ...]:
    actions: tuple[str, ...] = getattr(tool, "actions", ())
    return actions


def _parameters(tool: Tool) -> Iterable[str]:
    properties, required = tool.parameters.get("properties"), tool.parameters.get("required")
    needed = required if isinstance(required, list) else []
    for name, schema in properties.items() if isinstance(properties, dict) else ():
        about = dict(schema) if isinstance(schema, dict) else {}
        said = about.pop("description", "")
        must = "" if name in needed else " (optional)"
        yield f"parameter    {name}{must}  {printable(str(said), 400)}".rstrip()
        yield f"             {printable(json.dumps(about), 400)}"


@click.command(
    "validate",
    epilog="""\b
Examples:
  toka tools validate tools/manifests/date-validator.yaml
  toka tools validate tools/manifests --root tools""",
)
@click.argument("path", type=click.Path(path_type=Path, exists=True))
@click.option(
    "--root",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="The directory from which programs are named, if not the manifest's own.",
)
@json_option
def validate(*, path: Path, root: Path | None, as_json: bool) -> int:
    """Check the manifest PATH, or all manifests of a directory; nothing of them is run."""
    findings = [_check(file, root) for file in _files(path)]
    if as_json:
        click.echo(json.dumps(findings))
    else:
        _print(findings)
    return Exit.MET if findings and all(one["valid"] for one in findings) else Exit.NOT_MET


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.iterdir() if file.suffix in (".yaml", ".yml", ".json"))


def _check(file: Path, root: Path | None) -> JsonObject:
    from toka.tools import ToolError  # noqa: PLC0415 - not for --help
    from toka.tools.manifests import check_manifest  # noqa: PLC0415

    try:
        report = check_manifest(file, root)
    except ToolError as error:
        where = {name: error.details.get(name) for name in ("line", "column")}
        return {"path": str(file), "valid": False, "error": str(error), **where}
    return {
        "path": str(file),
        "valid": True,
        "tool": report.name,
        "warnings": list(report.warnings),
    }


def _print(findings: list[JsonObject]) -> None:
    for one in findings:
        if not one["valid"]:
            click.echo(printable(str(one["error"]), 1_000), err=True)
            continue
        click.echo(f"{one['path']}: {click.style(str(one['tool']), bold=True)}")
        warnings = one["warnings"]
        for warning in warnings if isinstance(warnings, list) else ():
            click.echo(f"    {printable(str(warning), 400)}")
    if not findings:
        click.echo("There is no manifest here.", err=True)
