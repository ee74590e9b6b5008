"""Between the SDK's parts and ours."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, cast

from a2a.types import Part
from google.protobuf.json_format import (  # type: ignore[import-untyped] # its types are another distribution
    MessageToDict,
    ParseDict,
)
from google.protobuf.struct_pb2 import Value  # type: ignore[import-untyped] # the same

from toka.tools.a2a._agent import Content

if TYPE_CHECKING:
    from collections.abc import Iterable

    from toka.types import Json, JsonObject

_EXACT = 1 << 53  # Above, a float does not tell whole numbers apart.


def contents_of(parts: Iterable[Part]) -> tuple[Content, ...]:
    """Return parts of the protocol as contents; those of unknown kinds are left out."""
    return tuple([_content(part) for part in parts if part.WhichOneof("content")])


def _content(part: Part) -> Content:
    kind = part.WhichOneof("content")
    named = Content(name=part.filename, media_type=part.media_type)
    if kind == "text":
        return Content(text=part.text, name=named.name, media_type=named.media_type)
    if kind == "raw":
        return Content(raw=part.raw, name=named.name, media_type=named.media_type)
    if kind == "url":
        return Content(url=part.url, name=named.name, media_type=named.media_type)
    data = _whole(cast("Json", MessageToDict(part.data)))
    return Content(data=data, name=named.name, media_type=named.media_type)


def _whole(value: Json) -> Json:
    """Return JSON with the whole numbers that a protobuf value has made floats."""
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        return int(value)
    if isinstance(value, list):
        return [_whole(item) for item in value]
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in value.items()}
    return value


def parts_of(contents: Iterable[Content]) -> list[Part]:
    """Return contents as parts of the protocol."""
    return [_part(each) for each in contents]


def _part(content: Content) -> Part:
    part = Part(filename=content.name, media_type=content.media_type)
    if content.text is not None:
        part.text = content.text
    elif content.raw is not None:
        part.raw = content.raw
    elif content.url is not None:
        part.url = content.url
    else:
        part.data.CopyFrom(ParseDict(cast("dict[str, object]", content.data), Value()))
    return part


def described(contents: Iterable[Content]) -> list[Json]:
    """Return contents as JSON, for a model."""
    return [_described(each) for each in contents]


def _described(content: Content) -> JsonObject:
    known: dict[str, Json] = {"name": content.name, "media_type": content.media_type}
    shown = {key: value for key, value in known.items() if value}
    if content.text is not None:
        return {"text": content.text, **shown}
    if content.raw is not None:
        return {"base64": base64.b64encode(content.raw).decode(), **shown}
    if content.url is not None:
        return {"url": content.url, **shown}
    return {"data": content.data, **shown}
