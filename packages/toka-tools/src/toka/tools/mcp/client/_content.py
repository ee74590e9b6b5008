"""From the result of a call to a value: text, structured content, and whatever else there is.

    {"text": "...",                      all parts of text, joined by line ends
     "structured": {...},                what the tool's output schema describes, if it has one
     "parts": [{"type": "image", "mime_type": "image/png", "data": "..."}, ...],
     "is_error": true}                   only if the tool says that it failed

Text that only repeats the structured content is left out. A result that says that the tool failed
is a result, as an exit code other than 0 is: it is the server's, and tainted like the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

import attrs
import msgspec

from toka.tools.mcp.client._errors import InvalidResultError
from toka.tools.mcp.client._schemas import check_result

if TYPE_CHECKING:
    from toka.tools.mcp.client._definition import Definition
    from toka.types import Json, JsonObject

MAX_PARTS: Final = 1_000


class _Wire(msgspec.Struct, rename="camel"):
    content: list[dict[str, object]] = []
    structured_content: object = msgspec.UNSET
    is_error: bool = False


@attrs.frozen
class Mapped:
    """A value, and whether a limit cut it."""

    value: JsonObject
    truncated: bool


def map_result(result: JsonObject, definition: Definition, limit: int) -> Mapped:
    """Return the value of a call.

    Args:
        result: As the server sent it.
        definition: What the server promised of it.
        limit: How many bytes of the value are wanted.

    Raises:
        InvalidResultError: It is not what the protocol or the tool's schema says.
    """
    name = definition.local_name
    try:
        wire = msgspec.convert(result, _Wire)
    except msgspec.ValidationError as error:
        raise InvalidResultError(f"{name} returned no result of a tool: {error}.") from error
    if len(wire.content) > MAX_PARTS:
        raise InvalidResultError(f"{name} returned more than {MAX_PARTS} parts.")
    has_structure = wire.structured_content is not msgspec.UNSET
    if definition.output is not None and not wire.is_error:
        if not has_structure:
            raise InvalidResultError(f"{name} did not return what its server promised.")
        check_result(definition.output, cast("Json", wire.structured_content), name)
    room = _Room(limit)
    value: dict[str, Json] = {}
    if has_structure:
        structured = cast("Json", wire.structured_content)
        if room.take(msgspec.json.encode(structured)):
            value["structured"] = structured
    texts, parts = _split(wire.content, value.get("structured") if has_structure else None)
    text = room.cut("\n".join(texts))
    if text:
        value["text"] = text
    mapped = [_fitting(part, room) for part in parts]
    if mapped:
        value["parts"] = cast("Json", mapped)
    if wire.is_error:
        value["is_error"] = True
    return Mapped(value, room.exceeded)


@attrs.define
class _Room:
    left: int
    exceeded: bool = False

    def take(self, data: bytes | str) -> bool:
        if len(data) > self.left:
            self.exceeded = True
            return False
        self.left -= len(data)
        return True

    def cut(self, text: str) -> str:
        data = text.encode("utf-8", "replace")
        if len(data) > self.left:
            self.exceeded = True
            data = data[: self.left]
        self.left -= len(data)
        return data.decode("utf-8", "ignore")


def _split(
    content: list[dict[str, object]], structured: Json
) -> tuple[list[str], list[dict[str, object]]]:
    texts: list[str] = []
    parts: list[dict[str, object]] = []
    for part in content:
        text = part.get("text")
        if part.get("type") != "text" or not isinstance(text, str):
            parts.append(part)
        elif structured is None or not _repeats(text, structured):
            texts.append(text)
    return texts, parts


def _repeats(text: str, structured: Json) -> bool:
    if not text.startswith(("{", "[")):
        return False
    try:
        return bool(msgspec.json.decode(text) == structured)
    except (msgspec.DecodeError, RecursionError):
        return False


_RESOURCE_KEYS: Final = {"uri": "uri", "mimeType": "mime_type", "text": "text", "blob": "data"}
_LINK_KEYS: Final = {
    "uri": "uri",
    "name": "name",
    "title": "title",
    "description": "description",
    "mimeType": "mime_type",
}
_MEDIA_KEYS: Final = {"mimeType": "mime_type", "data": "data"}


def _fitting(part: dict[str, object], room: _Room) -> dict[str, Json]:
    mapped = _part(part)
    size = sum(len(text) for text in mapped.values() if isinstance(text, str))
    if size > room.left:
        room.exceeded = True
        kept: dict[str, Json] = {key: mapped[key] for key in ("type", "mime_type") if key in mapped}
        return kept | {"omitted_characters": size}
    room.left -= size
    return mapped


def _part(part: dict[str, object]) -> dict[str, Json]:
    kind = part.get("type")
    if kind in ("image", "audio"):
        return {"type": str(kind), **_texts(part, _MEDIA_KEYS)}
    if kind == "resource_link":
        return {"type": "resource_link", **_texts(part, _LINK_KEYS)}
    resource = part.get("resource")
    if kind == "resource" and isinstance(resource, dict):
        return {"type": "resource", **_texts(cast("dict[str, object]", resource), _RESOURCE_KEYS)}
    return {"type": "unknown", "kind": ascii(kind)[:60]}


def _texts(source: dict[str, object], keys: dict[str, str]) -> dict[str, Json]:
    found = {new: source.get(old) for old, new in keys.items()}
    return {key: value for key, value in found.items() if isinstance(value, str)}
