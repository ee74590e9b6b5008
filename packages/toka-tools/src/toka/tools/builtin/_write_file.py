"""The tools `write_file` and `append_file`.

They are two because running them once more differs: writing the same content again changes
nothing, appending it again does.
"""

from __future__ import annotations

import base64
import binascii
import os
from typing import TYPE_CHECKING, Annotated, Literal

import attrs
from msgspec import Meta

from toka.tools._errors import InvalidArgumentsError, WrongFileTypeError
from toka.tools._typed import Output, TypedTool
from toka.tools.files._paths import (
    demand,
    file_request,
    open_parent,
    open_regular,
    resolve,
    system_error,
)
from toka.tools.files._replace import replace_file, sync_directory, write_all

if TYPE_CHECKING:
    from toka.tools._context import ToolContext, Workspace
    from toka.types import SideEffect


@attrs.frozen
class WriteFileArguments:
    """Arguments of `write_file` and `append_file`."""

    path: Annotated[str, Meta(description="The file; relative to the workspace.", min_length=1)]
    content: str
    encoding: Annotated[
        Literal["utf-8", "base64"], Meta(description="How `content` represents the bytes.")
    ] = "utf-8"
    create_parents: Annotated[bool, Meta(description="Make missing directories.")] = False


class _WritingTool(TypedTool[WriteFileArguments]):
    taints = False
    kind = WriteFileArguments

    def needs(self, arguments: WriteFileArguments, workspace: Workspace) -> tuple[str, ...]:
        real = resolve(arguments.path, workspace)
        parents = _missing_parents(real) if arguments.create_parents else []
        return tuple([file_request("write", path) for path in (*parents, real)])


class WriteFile(_WritingTool):
    """Writes a file as a whole: afterwards it is the old one or the new one, also after a crash."""

    name = "write_file"
    description = (
        "Write a file, replacing what was there. A reader sees the old content or the new one,"
        " never a part."
    )
    side_effect: SideEffect = "idempotent"
    actions = ("fs:write",)

    async def run(self, arguments: WriteFileArguments, context: ToolContext) -> Output:
        import anyio.to_thread  # noqa: PLC0415 - 40 ms at import

        return await anyio.to_thread.run_sync(_write, arguments, context)


class AppendFile(_WritingTool):
    """Appends to a file that has one name only, or makes it."""

    name = "append_file"
    description = "Append to a file, making it if it is missing."
    side_effect: SideEffect = "external"
    actions = ("fs:write",)

    async def run(self, arguments: WriteFileArguments, context: ToolContext) -> Output:
        import anyio.to_thread  # noqa: PLC0415 - 40 ms at import

        return await anyio.to_thread.run_sync(_append, arguments, context)


def _missing_parents(real: str) -> list[str]:
    missing: list[str] = []
    parent = os.path.dirname(real)  # noqa: PTH120 - real paths are plain text here
    while not os.path.lexists(parent):
        missing.append(parent)
        parent = os.path.dirname(parent)  # noqa: PTH120 - see above
    return missing[::-1]


def _prepare(arguments: WriteFileArguments, context: ToolContext) -> tuple[str, bytes]:
    real = resolve(arguments.path, context.workspace)
    for path in _missing_parents(real) if arguments.create_parents else ():
        demand("write", path, context)
    demand("write", real, context)
    return real, _bytes_of(arguments)


def _bytes_of(arguments: WriteFileArguments) -> bytes:
    try:
        if arguments.encoding == "base64":
            return base64.b64decode(arguments.content, validate=True)
        return arguments.content.encode()
    except (binascii.Error, UnicodeEncodeError) as error:
        raise InvalidArgumentsError(
            f"`content` cannot be written as {arguments.encoding}: {error}."
        ) from error


def _write(arguments: WriteFileArguments, context: ToolContext) -> Output:
    real, data = _prepare(arguments, context)
    with open_parent(real, create=arguments.create_parents) as (parent, name):
        created = replace_file(parent, name, real, data, context.idempotency_key)
    return Output({"path": real, "bytes": len(data), "created": created})


def _append(arguments: WriteFileArguments, context: ToolContext) -> Output:
    real, data = _prepare(arguments, context)
    with open_parent(real, create=arguments.create_parents) as (parent, name):
        descriptor, created = _open_to_append(parent, name, real)
        try:
            before = os.fstat(descriptor)
            if before.st_nlink > 1:
                raise WrongFileTypeError(
                    f"{real} has {before.st_nlink} names; appending would change it under all.",
                    hint="Use write_file, which gives this name a file of its own.",
                    details={"path": real},
                )
            _append_all(descriptor, data, before.st_size)
            if created:
                sync_directory(parent)
        except OSError as error:
            raise system_error(error, real) from error
        finally:
            os.close(descriptor)
    return Output(
        {"path": real, "bytes": len(data), "size": before.st_size + len(data), "created": created}
    )


def _open_to_append(parent: int, name: str, real: str) -> tuple[int, bool]:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(name, flags, 0o666, dir_fd=parent), True
    except FileExistsError:
        return open_regular(parent, name, real, os.O_WRONLY | os.O_APPEND), False
    except OSError as error:
        raise system_error(error, real) from error


def _append_all(descriptor: int, data: bytes, size: int) -> None:
    try:
        write_all(descriptor, data)
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, size)  # All or nothing, also on a full disk.
        raise
