"""The tools that a configuration names, built as a whole before any of them is offered.

All files are relative to the directory that the command was started in, and none of them may be
written by others: whoever writes one says what agents run, or where a secret goes.
"""

from __future__ import annotations

import os
import stat
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs

from toka.cli._errors import ServiceConfigUnusable
from toka.tools import ManifestDirectory, ToolError, ToolRegistry

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Iterable, Iterator, Mapping

    from toka.cli._service_config import OpenApiDocument, Tools
    from toka.tools import Tool, Workspace
    from toka.tools.mcp.client import McpHost

OTHERS_MAY_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH


@attrs.frozen
class Toolbox:
    """What agents can be allowed, and what some of it needs while it is used."""

    registry: ToolRegistry
    servers: McpHost | None = None
    """The MCP servers of its tools. Entering them starts none; see `McpServers`."""

    @asynccontextmanager
    async def entered(self) -> AsyncGenerator[ToolRegistry]:
        """Lend the tools, for one task that exchanges none."""
        async with nullcontext() if self.servers is None else self.servers:
            yield self.registry


def make_toolbox(tools: Tools, workspace: Workspace, current: McpHost | None = None) -> Toolbox:
    """Build what `[tools]` says. Starts nothing.

    Args:
        tools: What it says.
        workspace: Where the commands of MCP servers work, and what is protected from them.
        current: MCP servers that are entered; they are kept if they are what is wanted.

    Raises:
        ServiceConfigUnusable: Something of it is not there, there twice, broken, or others may
            write it.
    """
    try:
        servers = _servers(tools.mcp, workspace, current)
        known = ToolRegistry.builtin()
        known.register_installed(*tools.installed)
        for tool in _all(tools, servers):
            known.register(tool)
        directories = [_directory(Path(name).expanduser()) for name in tools.manifests]
        _check_names(known, directories)
        return Toolbox(_allowed(known, directories, tools.allowed), servers)
    except ToolError as error:
        raise _wrong(error.message, error.hint) from error
    except ImportError as error:
        raise _wrong(f"{error}.", "Something that one of them needs is not installed.") from error


def _all(tools: Tools, servers: McpHost | None) -> Iterator[Tool]:
    for document in tools.openapi:
        yield from _operations(document)
    for name in tools.wasm:
        yield _guest(Path(name).expanduser())
    if servers is not None:
        yield from servers.tools()


def _operations(document: OpenApiDocument) -> Iterable[Tool]:
    from toka.tools.openapi import OpenApiOptions, load_openapi  # noqa: PLC0415 - only with one

    path = Path(document.file).expanduser()
    options = OpenApiOptions(
        server=document.server,
        prefix=document.prefix,
        tags=document.tags,
        operations=document.operations,
        security=document.security,
    )
    made = load_openapi(path, options)
    _check_rights(path)
    return made.tools


def _guest(path: Path) -> Tool:
    from toka.tools.wasm import load_wasm_tool  # noqa: PLC0415 - an extra, and only with one

    made = load_wasm_tool(path)
    # The module need not be looked at: the manifest pins its bytes.
    _check_rights(path)
    return made


def _servers(name: str | None, workspace: Workspace, current: McpHost | None) -> McpHost | None:
    if name is None:
        return None
    from toka.cli._tools_mcp import pins_of  # noqa: PLC0415 - only with one
    from toka.tools.mcp.client import McpHost, Pins, load_servers  # noqa: PLC0415

    path = Path(name).expanduser()
    made = McpHost(load_servers(path), workspace, Pins.load(pins_of(path)))
    _check_rights(path)
    if pins_of(path).exists():
        _check_rights(pins_of(path))
    if current is not None and (current.servers, current.pins) == (made.servers, made.pins):
        return current
    return made


def _directory(path: Path) -> ManifestDirectory:
    if not path.is_dir():
        raise _wrong(f"{path} is no folder of manifests.", "Make it, or name another.")
    found = ManifestDirectory(path, private=True)
    problem = next(iter(found.problems.values()), None)
    if problem is not None:
        raise _wrong(problem, f"`toka tools validate {path}` looks at all of them.")
    for each in (path, *path.iterdir()):
        _check_rights(each)
    return found


@attrs.frozen
class _Chosen:
    """Those tools of a directory that are allowed, as they are at each use."""

    directory: ManifestDirectory
    names: frozenset[str]

    def tools(self) -> Mapping[str, Tool]:
        found = self.directory.tools()
        return {name: found[name] for name in self.names & found.keys()}


def _check_names(known: ToolRegistry, directories: Iterable[ManifestDirectory]) -> None:
    """Refuse what would be hidden: a registry lets the first of two tools go before the other."""
    taken = dict.fromkeys(known.names(), "another tool has")
    for directory in directories:
        for name in directory.tools():
            if name in taken:
                raise _wrong(
                    f"A manifest in {directory.path} has the name {name!r}, which {taken[name]}.",
                    "Give one of them another name.",
                )
        taken |= dict.fromkeys(directory.tools(), f"one in {directory.path} has")


def _allowed(
    known: ToolRegistry, directories: list[ManifestDirectory], names: Collection[str] | None
) -> ToolRegistry:
    """Return the tools of these names, or all; those of directories can still change."""
    for directory in directories:
        known.add_source(directory)
    if names is None:
        return known
    tools = [known.get(name) for name in names]
    changing = {name for directory in directories for name in directory.tools()}
    chosen = ToolRegistry.of([tool for tool in tools if tool.name not in changing])
    for directory in directories:
        chosen.add_source(_Chosen(directory, frozenset(names)))
    return chosen


def _check_rights(path: Path) -> None:
    status = path.stat()
    if status.st_mode & OTHERS_MAY_WRITE or status.st_uid not in (0, os.geteuid()):
        raise _wrong(f"{path} can be written by others.", "Take that right from them.")


def _wrong(why: str, hint: str) -> ServiceConfigUnusable:
    return ServiceConfigUnusable(f"The configuration's tools: {why}", hint=hint)
