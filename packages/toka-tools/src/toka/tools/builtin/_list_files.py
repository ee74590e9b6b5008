"""The tool `list_files`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal

import attrs
from msgspec import Meta

from toka.tools._typed import Output, TypedTool
from toka.tools.files._glob import PathPattern
from toka.tools.files._paths import path_request, resolve
from toka.tools.files._walk import DEFAULT_IGNORE, Found, Walk
from toka.types import NANOSECONDS

if TYPE_CHECKING:
    from toka.tools._context import ToolContext, Workspace
    from toka.types import Json, SideEffect

# The JSON of an entry besides its path and name.
_ENTRY_BYTES: Final = 80

EntryType = Literal["file", "directory", "link", "other"]


@attrs.frozen
class ListFilesArguments:
    """Arguments of `list_files`."""

    path: Annotated[str, Meta(description="The directory; relative to the workspace.")] = "."
    pattern: Annotated[
        str, Meta(description="Over relative paths: * ? [...] within a name, ** any names.")
    ] = "**/*"
    types: Annotated[
        tuple[EntryType, ...], Meta(description="Types of entries to return.", min_length=1)
    ] = ("file", "directory", "link", "other")
    hidden: Annotated[bool, Meta(description="Include names that begin with a dot.")] = False
    ignore: Annotated[
        tuple[str, ...], Meta(description="Names to leave out, with all below them.")
    ] = DEFAULT_IGNORE
    max_entries: Annotated[int, Meta(ge=1, le=100_000)] = 20_000


class ListFiles(TypedTool[ListFilesArguments]):
    """Lists a directory tree: sorted, links not followed, unreadable parts reported."""

    name = "list_files"
    description = (
        "List files below a directory. Returns sorted `entries` with absolute `path`, `name`,"
        " `type`, `size` and `modified` (seconds since 1970), and what was `skipped` and why."
    )
    side_effect: SideEffect = "read_only"
    actions = ("fs:read",)
    kind = ListFilesArguments

    def needs(self, arguments: ListFilesArguments, workspace: Workspace) -> tuple[str, ...]:
        return (path_request("read", arguments.path, workspace),)

    async def run(self, arguments: ListFilesArguments, context: ToolContext) -> Output:
        import anyio.to_thread  # noqa: PLC0415 - 40 ms at import

        return await anyio.to_thread.run_sync(_list, arguments, context)


def _list(arguments: ListFilesArguments, context: ToolContext) -> Output:
    pattern = PathPattern(arguments.pattern)
    root = resolve(arguments.path, context.workspace)
    walk = Walk(root, context, arguments.hidden, arguments.ignore, pattern.deepest)
    entries: list[Json] = []
    room = context.output_limit_bytes
    truncated = False
    for found in walk:
        if found.type not in arguments.types or not pattern.matches(found.names):
            continue
        room -= len(found.path) + len(found.names[-1]) + _ENTRY_BYTES
        if len(entries) >= arguments.max_entries or room < 0:
            truncated = True
            break
        entries.append(_entry(found))
    value: dict[str, Json] = {
        "path": root,
        "entries": entries,
        "truncated": truncated,
        "skipped": walk.skipped,
        "skipped_more": walk.skipped_more,
    }
    return Output(value, truncated=truncated)


def _entry(found: Found) -> dict[str, Json]:
    return {
        "path": found.path,
        "name": found.names[-1],
        "type": found.type,
        "size": found.status.st_size,
        "modified": found.status.st_mtime_ns // NANOSECONDS,
    }
