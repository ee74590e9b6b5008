"""The tool `edit_file`."""

from __future__ import annotations

import os
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Final

import attrs
from msgspec import Meta

from toka.tools._errors import InvalidArgumentsError, TextNotThereError, WrongFileTypeError
from toka.tools._typed import Output, TypedTool
from toka.tools.builtin._read_file import read_bytes
from toka.tools.files._paths import (
    demand,
    file_request,
    open_parent,
    open_regular,
    resolve,
    system_error,
)
from toka.tools.files._replace import replace_file

if TYPE_CHECKING:
    from toka.tools._context import ToolContext, Workspace
    from toka.types import Json, SideEffect

MAX_FILE_BYTES: Final = 16 << 20
_MOST_PLACES: Final = 10
_SHOWN: Final = 200


@attrs.frozen
class EditFileArguments:
    """Arguments of `edit_file`."""

    path: Annotated[str, Meta(description="The file; relative to the workspace.", min_length=1)]
    old: Annotated[
        str, Meta(description="The text to replace, exactly as it stands there.", min_length=1)
    ]
    new: Annotated[str, Meta(description="What to put in its place.")]
    times: Annotated[
        int, Meta(description="How often `old` stands in the file; all are replaced.", ge=1)
    ] = 1


class EditFile(TypedTool[EditFileArguments]):
    """Replaces a text that stands in a file exactly as often as the caller says."""

    name = "edit_file"
    description = (
        "Replace a text in a UTF-8 file. `old` must stand there exactly, `times` times: once if"
        " left out, so give enough lines around it. Returns the lines where it stood."
    )
    # A retry after a crash would not find the text that it replaced before.
    side_effect: SideEffect = "external"
    taints = False
    actions = ("fs:read", "fs:write")
    kind = EditFileArguments

    def needs(self, arguments: EditFileArguments, workspace: Workspace) -> tuple[str, ...]:
        real = resolve(arguments.path, workspace)
        return file_request("read", real), file_request("write", real)

    async def run(self, arguments: EditFileArguments, context: ToolContext) -> Output:
        import anyio.to_thread  # noqa: PLC0415 - 40 ms at import

        return await anyio.to_thread.run_sync(_edit, arguments, context)


def _edit(arguments: EditFileArguments, context: ToolContext) -> Output:
    if arguments.old == arguments.new:
        raise InvalidArgumentsError("`old` and `new` are the same; nothing would change.")
    real = resolve(arguments.path, context.workspace)
    demand("read", real, context)
    demand("write", real, context)
    with open_parent(real) as (parent, name):
        text = _text(parent, name, real)
        lines = _places(text, arguments, real)
        data = _encoded(text.replace(arguments.old, arguments.new))
        replace_file(parent, name, real, data, context.idempotency_key)
    return Output({"path": real, "replaced": len(lines), "lines": [*lines], "bytes": len(data)})


def _text(parent: int, name: str, real: str) -> str:
    descriptor = open_regular(parent, name, real)
    try:
        data, size = read_bytes(descriptor, 0, MAX_FILE_BYTES)
    except OSError as error:
        raise system_error(error, real) from error
    finally:
        os.close(descriptor)
    if size > MAX_FILE_BYTES:
        raise WrongFileTypeError(
            f"{real} has {size} bytes; files of up to {MAX_FILE_BYTES} are edited.",
            details={"path": real, "size": size},
        )
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise WrongFileTypeError(
            f"{real} is no UTF-8 text: byte {error.start} is not.",
            hint="Read and write it in base 64.",
            details={"path": real},
        ) from error


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise InvalidArgumentsError("`new` cannot be written as UTF-8.") from error


def _places(text: str, arguments: EditFileArguments, real: str) -> list[int]:
    """Return the line numbers where the text stands, which must be as many as was said."""
    parts = text.split(arguments.old)
    found = len(parts) - 1
    lines: list[int] = []
    line = 1
    for part in parts[:-1]:
        line += part.count("\n")
        lines.append(line)
        line += arguments.old.count("\n")
    if found == arguments.times:
        return lines
    details: dict[str, Json] = {"path": real, "found": found, "expected": arguments.times}
    if found:
        places = ", ".join(map(str, lines[:_MOST_PLACES]))
        raise TextNotThereError(
            f"The text stands {found} times in {real}, not {arguments.times}: at lines {places}.",
            hint="Give more of the lines around the one you mean, or say `times`.",
            details=details,
        )
    raise TextNotThereError(
        f"The text does not stand in {real}.{_nearest(text, arguments.old)}",
        hint="It must be there to the letter, with its indentation and line ends. Read the file.",
        details=details,
    )


def _nearest(text: str, old: str) -> str:
    """Show the line that is most like the first of the text, which is often the one meant."""
    wanted = next((line for line in old.splitlines() if line.strip()), "")
    close = get_close_matches(wanted, text.splitlines()[:5_000], n=1)
    return f" Its nearest line is {close[0].strip()[:_SHOWN]!r}." if close else ""
