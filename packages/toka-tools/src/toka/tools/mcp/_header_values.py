"""Values in the headers of streamable HTTP, and the parameters that a tool wants said there too.

MCP 2026-07-28, streamable HTTP, "Custom Headers": a property of a tool's input schema that is
annotated with `x-mcp-header` is repeated in the header `Mcp-Param-<annotation>` by the client, and
compared by the server. A value that a header cannot carry is written as `=?base64?...?=`.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Final, cast

import attrs

from toka.tools.mcp._errors import HEADER_MISMATCH, ProtocolError
from toka.tools.mcp._revisions import HEADER_PARAMETER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toka.types import Json, JsonObject

ANNOTATION: Final = "x-mcp-header"

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2
_PLAIN: Final = re.compile(r"(?:[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)?")
_WRAPPED: Final = re.compile(r"=\?base64\?(.*)\?=")
_DECIMAL: Final = re.compile(r"(-?[0-9]+)(?:\.0+)?")
_TYPES: Final = frozenset({"string", "integer", "boolean"})

# Where a schema holds schemas. What lies behind these is not "reachable by properties alone".
_ONE: Final = (
    "additionalProperties",
    "contains",
    "contentSchema",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
)
_MANY: Final = ("allOf", "anyOf", "oneOf", "prefixItems")
_NAMED: Final = ("$defs", "definitions", "dependentSchemas", "patternProperties")


@attrs.frozen
class HeaderParameter:
    """A parameter of a tool that is said in a header as well."""

    path: tuple[str, ...]
    """Names of properties, from the arguments inwards."""
    header: str
    """The whole name of the header."""
    kind: str
    """The JSON type: string, integer or boolean."""


def encode_value(text: str) -> str:
    """Return text as a header can carry it."""
    if _PLAIN.fullmatch(text) and not _WRAPPED.fullmatch(text):
        return text
    return f"=?base64?{base64.b64encode(text.encode()).decode()}?="


def decode_value(value: str) -> str | None:
    """Return what `encode_value` was given, or None where the value cannot be its work."""
    wrapped = _WRAPPED.fullmatch(value)
    if wrapped is None:
        return value
    try:
        decoded = base64.b64decode(wrapped[1], validate=True)
        if base64.b64encode(decoded).decode() != wrapped[1]:
            return None  # Several spellings of one value: two readers could disagree.
        return decoded.decode()
    except (binascii.Error, UnicodeDecodeError):
        return None


def header_parameters(schema: JsonObject) -> tuple[HeaderParameter, ...]:
    """Return the parameters that a tool's input schema wants in headers.

    Raises:
        ProtocolError: An annotation is not one that the specification allows; the tool is unusable.
    """
    found: dict[str, HeaderParameter] = {}
    for path, node in _positions(schema):
        if ANNOTATION not in node:
            continue
        one = _parameter(path, node)
        if one.header.lower() in found:
            raise ProtocolError(f"{one.header} is the header of two parameters.")
        found[one.header.lower()] = one
    return tuple(found.values())


def _parameter(path: tuple[str, ...] | None, node: JsonObject) -> HeaderParameter:
    if not path:
        raise ProtocolError(f"{ANNOTATION} stands where no chain of properties leads.")
    name, kind = node[ANNOTATION], node.get("type")
    if not isinstance(name, str) or not _TOKEN.fullmatch(name):
        raise ProtocolError(f"{ANNOTATION} of {'.'.join(path)} cannot be in a header's name.")
    if not isinstance(kind, str) or kind not in _TYPES:
        raise ProtocolError(f"{'.'.join(path)} is no string, integer or boolean.")
    return HeaderParameter(path, HEADER_PARAMETER + name, kind)


def _positions(schema: JsonObject) -> Iterator[tuple[tuple[str, ...] | None, JsonObject]]:
    """Go through every schema in a schema, and say by which properties it is reached, if by any."""
    waiting: list[tuple[tuple[str, ...] | None, Json]] = [((), cast("Json", schema))]
    while waiting:
        path, node = waiting.pop()
        if not isinstance(node, dict):
            continue
        yield path, node
        properties = node.get("properties")
        if isinstance(properties, dict):
            waiting += [
                (None if path is None else (*path, name), inner)
                for name, inner in properties.items()
            ]
        waiting += [(None, inner) for inner in _elsewhere(node)]


def _elsewhere(node: Mapping[str, Json]) -> Iterator[Json]:
    for key in _ONE:
        if key in node:
            yield node[key]
    for key in _MANY:
        several = node.get(key)
        if isinstance(several, list):
            yield from several
    for key in _NAMED:
        named = node.get(key)
        if isinstance(named, dict):
            yield from named.values()


def header_values(parameters: tuple[HeaderParameter, ...], arguments: JsonObject) -> dict[str, str]:
    """Return the headers that a call with these arguments needs."""
    texts = {one.header: _text(_value(arguments, one.path)) for one in parameters}
    return {header: encode_value(text) for header, text in texts.items() if text is not None}


def check_header_values(
    parameters: tuple[HeaderParameter, ...], arguments: JsonObject, headers: Mapping[str, str]
) -> None:
    """Compare headers with the arguments that they are about.

    Raises:
        ProtocolError: `HEADER_MISMATCH`: one is missing, is there without its argument, or says
            something else.
    """
    for one in parameters:
        value, said = _value(arguments, one.path), headers.get(one.header)
        wanted = _text(value)
        if wanted is None and said is None:
            continue
        if wanted is None or said is None or not _agree(one.kind, wanted, decode_value(said)):
            raise ProtocolError(
                f"{one.header} does not say what the argument {'.'.join(one.path)} says.",
                HEADER_MISMATCH,
            )


def _agree(kind: str, wanted: str, said: str | None) -> bool:
    if said is None or said == wanted or kind != "integer":
        return said == wanted
    one, other = _DECIMAL.fullmatch(wanted), _DECIMAL.fullmatch(said)
    return one is not None and other is not None and one[1] == other[1]


def _value(arguments: JsonObject, path: tuple[str, ...]) -> Json:
    node: object = arguments
    for name in path:
        if not isinstance(node, dict):
            return None
        node = cast("dict[str, object]", node).get(name)
    return cast("Json", node)


def _text(value: Json) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (str, int, float)) else None
