"""The tool `read_file`."""

from __future__ import annotations

import base64
import codecs
import os
from typing import TYPE_CHECKING, Annotated, Final, Literal

import attrs
from msgspec import Meta

from toka.tools._typed import Output, TypedTool
from toka.tools.files._paths import (
    demand,
    open_parent,
    open_regular,
    path_request,
    resolve,
    system_error,
)

if TYPE_CHECKING:
    from toka.tools._context import ToolContext, Workspace
    from toka.types import Json, SideEffect

_LONGEST_CHARACTER: Final = 4


@attrs.frozen
class ReadFileArguments:
    """Arguments of `read_file`."""

    path: Annotated[str, Meta(description="The file; relative to the workspace.", min_length=1)]
    encoding: Annotated[
        Literal["utf-8", "latin-1", "base64"],
        Meta(description="How `content` represents the bytes."),
    ] = "utf-8"
    offset: Annotated[int, Meta(description="Byte to start at.", ge=0)] = 0
    max_bytes: Annotated[
        Annotated[int, Meta(ge=1)] | None, Meta(description="Bytes to read at most.")
    ] = None


class ReadFile(TypedTool[ReadFileArguments]):
    """Reads a regular file, whole or from an offset, as text or base 64."""

    name = "read_file"
    description = (
        "Read a file. Returns its content, its size in bytes, and `next_offset` where to go on if"
        " `truncated`. `replaced` says that bytes that are no UTF-8 were replaced."
    )
    side_effect: SideEffect = "read_only"
    actions = ("fs:read",)
    kind = ReadFileArguments

    def needs(self, arguments: ReadFileArguments, workspace: Workspace) -> tuple[str, ...]:
        return (path_request("read", arguments.path, workspace),)

    async def run(self, arguments: ReadFileArguments, context: ToolContext) -> Output:
        import anyio.to_thread  # noqa: PLC0415 - 40 ms at import

        return await anyio.to_thread.run_sync(_read, arguments, context)


def _read(arguments: ReadFileArguments, context: ToolContext) -> Output:
    real = resolve(arguments.path, context.workspace)
    demand("read", real, context)
    limit = min(arguments.max_bytes or context.output_limit_bytes, context.output_limit_bytes)
    with open_parent(real) as (parent, name):
        descriptor = open_regular(parent, name, real)
    try:
        data, size = read_bytes(descriptor, arguments.offset, limit)
    except OSError as error:
        raise system_error(error, real) from error
    finally:
        os.close(descriptor)
    more = arguments.offset + len(data) < size
    if more and arguments.encoding == "utf-8":
        data = whole_characters(data)
    end = arguments.offset + len(data)
    value: dict[str, Json] = {"path": real, "size": size, "offset": arguments.offset}
    value |= _content(data, arguments.encoding)
    value |= {"truncated": more, "next_offset": end if more else None}
    return Output(value, truncated=more)


def read_bytes(descriptor: int, offset: int, limit: int) -> tuple[bytes, int]:
    """Return at most `limit` bytes and the size of the file, which may grow or shrink meanwhile."""
    parts: list[bytes] = []
    position = offset
    while limit > 0 and (part := os.pread(descriptor, min(limit, 1 << 20), position)):
        parts.append(part)
        position += len(part)
        limit -= len(part)
    return b"".join(parts), max(os.fstat(descriptor).st_size, position)


def whole_characters(data: bytes) -> bytes:
    """Cut off an incomplete UTF-8 character at the end, so that a reader can go on there."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    decoder.decode(data[-_LONGEST_CHARACTER:])
    incomplete, _ = decoder.getstate()
    return data[: len(data) - len(incomplete)]


def _content(data: bytes, encoding: str) -> dict[str, Json]:
    if encoding == "base64":
        return {"content": base64.b64encode(data).decode(), "encoding": encoding, "replaced": False}
    text = data.decode(encoding, errors="replace")
    replaced = encoding == "utf-8" and "\ufffd" in text and text.encode() != data
    return {"content": text, "encoding": encoding, "replaced": replaced}
