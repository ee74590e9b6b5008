"""Parameters as text, by the styles of OpenAPI 3.1 (sections 4.8.12.2 to 4.8.12.5, and RFC 6570).

In a path and in a header there is no escape for the sign that separates the items of a list: an
item that holds it is refused, because the server would read two.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final, Literal, TypeAlias
from urllib.parse import quote

import attrs

from toka.tools._errors import InvalidArgumentsError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from toka.types import Json

Place: TypeAlias = Literal["path", "query", "header", "cookie"]

STYLES: Final[dict[Place, frozenset[str]]] = {
    "path": frozenset({"simple", "label", "matrix"}),
    "query": frozenset({"form", "spaceDelimited", "pipeDelimited", "deepObject"}),
    "header": frozenset({"simple"}),
    "cookie": frozenset({"form"}),
}
"""The first of each place's is not the default; see `default_style`."""

_RESERVED: Final = ":/?@!$'()*,;"  # Without what ends a pair, a query or an escape.
_SEPARATORS = re.compile(r"[,;=]")
_LIST_SEPARATORS: Final = {"form": ",", "spaceDelimited": "%20", "pipeDelimited": "%7C"}


@attrs.frozen
class Parameter:
    """One parameter of an operation."""

    name: str
    """As the server knows it."""
    place: Place
    argument: str
    """As the model knows it."""
    style: str
    explode: bool
    required: bool = False
    as_json: bool = False
    """Sent as JSON text, whatever its style."""
    allow_reserved: bool = False


def default_style(place: Place) -> str:
    """Return the style of a parameter that names none."""
    return "form" if place in ("query", "cookie") else "simple"


def path_segment(parameter: Parameter, value: Json) -> str:
    """Return what stands in a path for a template expression.

    Raises:
        InvalidArgumentsError: The value would stand for nothing, or for something else.
    """
    name, style = quote(parameter.name, safe=""), parameter.style
    if parameter.as_json:
        items, parts = [_json(value)], [("", _json(value))]
    else:
        items, parts = _flat(parameter, value), _pairs(parameter, value)
    if not "".join(items):
        raise InvalidArgumentsError(
            f"{parameter.argument} is part of the path and must not be empty."
        )
    if style == "label":
        return "." + ("." if parameter.explode else ",").join(_quoted(parameter, items, parts))
    if style == "matrix":
        if isinstance(value, (list, dict)) and parameter.explode:
            return "".join(
                f";{quote(key or parameter.name, safe='')}={quote(item, safe='')}"
                for key, item in parts
            )
        return f";{name}=" + ",".join([quote(item, safe="") for item in items])
    return ",".join(_quoted(parameter, items, parts))


def query_pairs(parameter: Parameter, value: Json) -> list[str]:
    """Return the `name=value` of a query, escaped; a null is left out."""
    if value is None:
        return []
    name = quote(parameter.name, safe="")
    safe = _RESERVED if parameter.allow_reserved else ""
    if parameter.as_json:
        return [f"{name}={quote(_json(value), safe=safe)}"]
    if parameter.style == "deepObject" and isinstance(value, dict):
        return [
            f"{quote(key, safe='')}={quote(item, safe=safe)}"
            for key, item in _deep(parameter.name, value)
        ]
    if isinstance(value, (list, dict)) and not parameter.explode:
        items = [quote(item, safe=safe.replace(",", "")) for item in _items(value)]
        return [f"{name}={_LIST_SEPARATORS.get(parameter.style, ',').join(items)}"]
    return [
        f"{quote(key or parameter.name, safe='')}={quote(item, safe=safe)}"
        for key, item in _pairs_of(value)
    ]


def header_value(parameter: Parameter, value: Json) -> str:
    """Return the value of a header; nothing is escaped there.

    Raises:
        InvalidArgumentsError: An item holds what separates items.
    """
    if parameter.as_json:
        return _json(value)
    items, parts = _flat(parameter, value), _pairs(parameter, value)
    if isinstance(value, dict) and parameter.explode:
        return ",".join(f"{key}={item}" for key, item in parts)
    return ",".join(items)


def text_of(value: Json) -> str:
    """Return a simple value as text, and a composed one as JSON."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    return _json(value)


def _quoted(parameter: Parameter, items: list[str], parts: list[tuple[str, str]]) -> list[str]:
    if parameter.explode and any(key for key, _ in parts):
        return [f"{quote(key, safe='')}={quote(item, safe='')}" for key, item in parts]
    return [quote(item, safe="") for item in items]


def _flat(parameter: Parameter, value: Json) -> list[str]:
    items = _items(value)
    if isinstance(value, (list, dict)):
        _check_separators(parameter, items)
    return items


def _pairs(parameter: Parameter, value: Json) -> list[tuple[str, str]]:
    pairs = _pairs_of(value)
    if isinstance(value, (list, dict)):
        _check_separators(parameter, [part for pair in pairs for part in pair])
    return pairs


def _check_separators(parameter: Parameter, items: Iterable[str]) -> None:
    dots = "." if parameter.style == "label" else "\0"
    if any(_SEPARATORS.search(item) or dots in item for item in items):
        raise InvalidArgumentsError(
            f"An item of {parameter.argument} holds a sign that separates items.",
            hint="There is no way to write ',', ';' or '=' in it.",
        )


def _items(value: Json) -> list[str]:
    if isinstance(value, list):
        return [text_of(item) for item in value if item is not None]
    if isinstance(value, dict):
        return [part for key, item in value.items() for part in (key, text_of(item))]
    return [text_of(value)]


def _pairs_of(value: Json) -> list[tuple[str, str]]:
    if isinstance(value, list):
        return [("", text_of(item)) for item in value if item is not None]
    if isinstance(value, dict):
        return [(key, text_of(item)) for key, item in value.items() if item is not None]
    return [("", text_of(value))]


def _deep(prefix: str, value: Json) -> Iterable[tuple[str, str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _deep(f"{prefix}[{key}]", item)
    elif isinstance(value, list):
        for item in value:
            yield from _deep(prefix, item)
    elif value is not None:
        yield prefix, text_of(value)


def _json(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
