"""A server's definition of a tool: what of it is accepted, and how two of them differ.

All of it is written by the server and read by a model, so all of it is pinned: a description is a
prompt, and so is the title of a property. Nothing invisible is accepted in it, since a person is to
see what they approve.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final, cast

import attrs
import msgspec

from toka.tools.mcp._errors import ProtocolError
from toka.tools.mcp._header_values import HeaderParameter, header_parameters
from toka.tools.mcp.client._errors import UnusableDefinitionError
from toka.tools.mcp.client._schemas import vet_schema

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toka.types import Json, JsonObject

MAX_DEFINITION_BYTES: Final = 64 << 10
MAX_TOOL_NAME: Final = 64

# What MCP allows a name to be made of. ASCII, so no two names look alike and differ.
_NAME: Final = re.compile(r"[A-Za-z0-9_./-]{1,128}")
# Controls but tab and line ends, bidirectional overrides, zero-width characters, tag characters and
# private use: what a person does not see and a model reads (Unicode Technical Report 36).
_INVISIBLE: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0e\ufeff\uffa0\ufff0-\ufffb\ud800-\uf8ff"
    "\U000e0000-\U0010ffff]"
)
_PINNED: Final = (
    "name",
    "title",
    "description",
    "inputSchema",
    "outputSchema",
    "annotations",
    "execution",
)


class _Wire(msgspec.Struct, rename="camel"):
    name: str
    input_schema: dict[str, object]
    title: str | None = None
    description: str = ""
    output_schema: dict[str, object] | None = None
    annotations: dict[str, object] | None = None


@attrs.frozen
class Definition:
    """A tool as its server offers it."""

    server: str
    name: str
    """The server's own name for it."""
    description: str
    parameters: JsonObject
    output: JsonObject | None
    headers: tuple[HeaderParameter, ...]
    task: bool
    """Whether it can only be called as a task, as revision 2025-11-25 has them."""
    content: JsonObject = attrs.field(repr=False)
    """What is pinned."""
    sha256: str

    @property
    def local_name(self) -> str:
        """What it is called in a registry."""
        return local_name(self.server, self.name)


def local_name(server: str, tool: str) -> str:
    """Return the name of a server's tool: `server__tool`, in the grammar of tools' names.

    The name of a server holds no `__`, so the first one always stands between the two. A name too
    long is cut, and ends in a part of its digest.
    """
    folded = re.sub(r"[^a-z0-9_]", "_", tool.lower())
    name = f"{server}__{folded}"
    if len(name) <= MAX_TOOL_NAME:
        return name
    mark = hashlib.sha256(tool.encode()).hexdigest()[:8]
    return f"{name[: MAX_TOOL_NAME - 9]}_{mark}"


def read_definition(server: str, offered: Json) -> Definition:
    """Return the definition that is an entry of a server's list.

    Raises:
        UnusableDefinitionError: It is none, or holds what is never accepted.
    """
    if not isinstance(offered, dict):
        raise UnusableDefinitionError(f"{server} offers something that is no tool.")
    try:
        wire = msgspec.convert(offered, _Wire)
    except msgspec.ValidationError as error:
        raise _unusable(server, offered.get("name"), str(error)) from error
    if not _NAME.fullmatch(wire.name):
        raise _unusable(server, wire.name, "its name is not of the letters that MCP allows")
    content = {key: offered[key] for key in _PINNED if offered.get(key) is not None}
    data = _canonical(content)
    if len(data) > MAX_DEFINITION_BYTES:
        raise _unusable(server, wire.name, f"it is longer than {MAX_DEFINITION_BYTES} bytes")
    for text in _texts(content):
        if _INVISIBLE.search(text):
            raise _unusable(server, wire.name, "it holds characters that nobody can see")
    parameters = cast("JsonObject", wire.input_schema)
    output = cast("JsonObject | None", wire.output_schema)
    try:
        vet_schema(parameters, "its input schema")
        if output is not None:
            vet_schema(output, "its output schema")
        headers = header_parameters(parameters)
    except (UnusableDefinitionError, ProtocolError) as error:
        raise _unusable(server, wire.name, error.message.rstrip(".")) from error
    execution = offered.get("execution")
    task = isinstance(execution, dict) and execution.get("taskSupport") == "required"
    return Definition(
        server=server,
        name=wire.name,
        description=wire.description or wire.title or "",
        parameters=parameters,
        output=output,
        headers=headers,
        task=task,
        content=content,
        sha256=hashlib.sha256(data).hexdigest(),
    )


def differences(old: JsonObject, new: JsonObject) -> list[str]:
    """Return what differs between two pinned contents, as paths with what happened there."""
    return sorted(_differences("", dict(old), dict(new)))


def _differences(path: str, old: object, new: object) -> Iterator[str]:
    if _canonical(old) == _canonical(new):
        return
    if not isinstance(old, dict) or not isinstance(new, dict):
        yield f"{path}: changed"
        return
    before, after = cast("dict[str, object]", old), cast("dict[str, object]", new)
    for key in before.keys() | after.keys():
        where = f"{path}/{key}"
        if key not in after:
            yield f"{where}: removed"
        elif key not in before:
            yield f"{where}: added"
        else:
            yield from _differences(where, before[key], after[key])


def _canonical(value: object) -> bytes:
    return msgspec.json.encode(value, order="deterministic")


def _texts(value: object) -> Iterator[str]:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict):
            entries = cast("dict[str, object]", one)
            yield from entries
            waiting += entries.values()
        elif isinstance(one, list):
            waiting += cast("list[object]", one)


def _unusable(server: str, name: object, why: str) -> UnusableDefinitionError:
    # As ASCII: the name is the server's, and this may end up on a terminal.
    shown = ascii(name)[:100]
    return UnusableDefinitionError(
        f"The tool {shown} of {server} cannot be used: {why}.",
        details={"server": server, "tool": shown},
    )
