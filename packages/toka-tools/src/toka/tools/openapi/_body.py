"""Request bodies: what a document says about one, and an argument as its bytes."""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, cast

import attrs

from toka.tools._errors import InvalidArgumentsError
from toka.tools.openapi._errors import UnsupportedOperationError
from toka.tools.openapi._serialise import Parameter, query_pairs, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toka.tools.openapi._document import Document
    from toka.types import Json, JsonObject

Form: TypeAlias = Literal["json", "form", "multipart", "text", "binary"]

_BASE64: Final[JsonObject] = {"type": "string", "contentEncoding": "base64"}
_OCTETS: Final = "application/octet-stream"


@attrs.frozen
class Body:
    """The body of an operation's requests."""

    media_type: str
    form: Form
    required: bool
    schema: Json
    """Of the argument, in the dialect of the document."""
    binary: frozenset[str] = frozenset()
    """Members that are bytes, written as base64 by the model."""
    encodings: JsonObject = attrs.field(factory=dict[str, "Json"])


def read_body(document: Document, value: Json) -> Body:
    """Return the body of the content type that says most about itself.

    Raises:
        UnsupportedOperationError: None of its content types can be written.
    """
    found = document.resolved(value, "the request body")
    content = found.get("content")
    if not isinstance(content, dict) or not content:
        raise UnsupportedOperationError("the request body has no content")
    order: tuple[Form, ...] = ("json", "form", "multipart", "text", "binary")
    name = min(content, key=lambda name: order.index(_form(name)))
    media = document.resolved(content[name], "the request body")
    media_type, form = name.partition(";")[0].strip().lower(), _form(name)
    required = found.get("required") is True
    if form == "json":
        if "*" in media_type:
            media_type = "application/json"
        return Body(media_type, form, required, media.get("schema", {}))
    if "*" in media_type:
        media_type = _OCTETS
    if form in ("text", "binary"):
        schema: JsonObject = {"type": "string"} if form == "text" else _BASE64
        return Body(media_type, form, required, schema)
    encodings = media.get("encoding", {})
    return _members(document, Body(media_type, form, required, media.get("schema", {})), encodings)


def _form(name: str) -> Form:
    media = name.partition(";")[0].strip().lower()
    if media in ("application/json", "*/*", "application/*") or media.endswith("+json"):
        return "json"
    if media == "application/x-www-form-urlencoded":
        return "form"
    if media == "multipart/form-data":
        return "multipart"
    if media.startswith("text/") or media.endswith(("/xml", "+xml")):
        return "text"
    return "binary"


def _members(document: Document, body: Body, encodings: Json) -> Body:
    schema = document.resolved(body.schema, "the schema of the form")
    members = schema.get("properties", {})
    if not isinstance(members, dict):
        raise UnsupportedOperationError("a form has no properties")
    binary = frozenset(name for name, one in members.items() if _is_binary(document, one))
    shown = {
        name: _as_base64(document, one) if name in binary else one for name, one in members.items()
    }
    return attrs.evolve(
        body,
        schema={**schema, "type": "object", "properties": shown},
        binary=binary,
        encodings=encodings if isinstance(encodings, dict) else {},
    )


def _is_binary(document: Document, schema: Json) -> bool:
    if not isinstance(schema, dict):
        return False
    found = document.resolved(schema, "a member of the form")
    if found.get("type") == "array":
        return _is_binary(document, found.get("items"))
    media = str(found.get("contentMediaType", ""))
    is_bytes = bool(media) and "contentEncoding" not in found and _form(media) == "binary"
    return found.get("format") == "binary" or is_bytes


def _as_base64(document: Document, schema: Json) -> JsonObject:
    found = document.resolved(schema, "a member of the form")
    text = {key: value for key, value in found.items() if key == "description"}
    if found.get("type") == "array":
        return {"type": "array", "items": _BASE64, **text}
    return {**_BASE64, **text}


def encode_body(body: Body, value: Json) -> tuple[str, bytes]:
    """Return the content type and the bytes of an argument.

    Raises:
        InvalidArgumentsError: A member that is bytes is not base64.
    """
    if body.form == "json":
        return body.media_type, json.dumps(value, ensure_ascii=False).encode()
    if body.form == "text":
        return f"{body.media_type}; charset=utf-8", str(value).encode()
    if body.form == "binary":
        return body.media_type, _bytes(value)
    members = cast("JsonObject", value)
    if body.form == "form":
        return body.media_type, "&".join(_form_pairs(body, members)).encode()
    return _multipart(body, members)


def _form_pairs(body: Body, members: JsonObject) -> Iterator[str]:
    for name, value in members.items():
        encoding = body.encodings.get(name)
        said = encoding if isinstance(encoding, dict) else {}
        style = str(said.get("style", "form"))
        explode = said.get("explode", style == "form") is True
        # RFC 6570 and OpenAPI 3.1, section 4.8.15.1.2: an object without a style is JSON.
        as_json = isinstance(value, dict) and "style" not in said
        parameter = Parameter(name, "query", name, style, explode, as_json=as_json)
        yield from query_pairs(parameter, value)


def _multipart(body: Body, members: JsonObject) -> tuple[str, bytes]:
    parts = [
        (_part_head(body, name, item), _part_bytes(body, name, item))
        for name, value in members.items()
        for item in (value if isinstance(value, list) else [value])
        if item is not None
    ]
    boundary = secrets.token_hex(24)  # Which nobody who wrote a part can have known.
    data = b"".join(
        b"--%s\r\n%s\r\n\r\n%s\r\n" % (boundary.encode(), head.encode(), content)
        for head, content in parts
    )
    return f"{body.media_type}; boundary={boundary}", data + b"--%s--\r\n" % boundary.encode()


def _part_head(body: Body, name: str, value: Json) -> str:
    # As browsers escape them (WHATWG HTML, multipart/form-data): a name cannot begin a header.
    shown = name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
    head = f'Content-Disposition: form-data; name="{shown}"'
    if name in body.binary:
        head += f'; filename="{shown}"'
    media = _part_type(body, name, value)
    return f"{head}\r\nContent-Type: {media}" if media else head


def _part_type(body: Body, name: str, value: Json) -> str:
    encoding = body.encodings.get(name)
    said = encoding.get("contentType") if isinstance(encoding, dict) else None
    if isinstance(said, str):
        first = said.partition(",")[0].strip()
        if "*" not in first and first.isascii() and first.isprintable():
            return first
    if name in body.binary:
        return _OCTETS
    return "application/json" if isinstance(value, (dict, list)) else ""


def _part_bytes(body: Body, name: str, value: Json) -> bytes:
    if name in body.binary:
        return _bytes(value)
    is_json = _form(_part_type(body, name, value) or "text/plain") == "json"
    return (json.dumps(value, ensure_ascii=False) if is_json else text_of(value)).encode()


def _bytes(value: Json) -> bytes:
    try:
        return base64.b64decode(str(value), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidArgumentsError(f"The body is not base64: {error}.") from error
