"""What an answer must look like: a small part of JSON Schema 2020-12, decided without surprises.

    object      properties, required; members that are not named are refused
    array       items, minItems, maxItems
    string      minLength, maxLength (code points)
    integer     minimum, maximum
    number      minimum, maximum
    boolean

and `enum`, which may stand without a type. `title`, `description`, `default` and `examples` say
something to people. There are no references, patterns or alternatives: what a form accepts is found
out in one walk over the answer, in time that grows with its size and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeAlias, cast

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from toka.types import Json, JsonObject

Faults: TypeAlias = Iterator[str]

MAX_DEPTH: Final = 8
MAX_REASONS: Final = 10

_NOTES: Final = frozenset({"default", "description", "examples", "title"})
_OWN: Final[Mapping[str, frozenset[str]]] = {
    "object": frozenset({"properties", "required", "additionalProperties"}),
    "array": frozenset({"items", "minItems", "maxItems"}),
    "string": frozenset({"minLength", "maxLength"}),
    "integer": frozenset({"minimum", "maximum"}),
    "number": frozenset({"minimum", "maximum"}),
    "boolean": frozenset(),
}
_LENGTHS: Final = frozenset({"minItems", "maxItems", "minLength", "maxLength"})
_KINDS: Final[Mapping[str, tuple[type, ...]]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}
_BOUNDS: Final = (
    ("minLength", "maxLength", "characters"),
    ("minItems", "maxItems", "items"),
)


def faults_of_form(form: msgspec.Raw) -> Faults:
    """Say what is wrong with a form, if anything."""
    try:
        schema = _decoded(form)
    except ValueError as error:
        yield str(error)
        return
    yield from _faults_of(schema, "it", MAX_DEPTH)


def reasons_against(form: msgspec.Raw, answer: msgspec.Raw) -> tuple[str, ...]:
    """Return why an answer is none to a form that has no faults; nothing if it is one."""
    try:
        value = _decoded(answer)
    except ValueError as error:
        return (str(error),)
    if value is None:
        return ("an answer is wanted",)
    return tuple(islice(_against(cast("JsonObject", _decoded(form)), value, "it"), MAX_REASONS))


def _decoded(data: msgspec.Raw) -> Json:
    try:
        return cast("Json", msgspec.json.decode(data))
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise ValueError("it is not JSON, or nested too deeply") from error


def _faults_of(schema: Json, where: str, depth: int) -> Faults:
    if not isinstance(schema, dict):
        yield f"{where} is no object"
        return
    kind = schema.get("type")
    if not isinstance(kind, str) or kind not in _OWN:
        if kind is not None or "enum" not in schema:
            yield f"the type of {where} is none of {', '.join(_OWN)}"
            return
        kind = ""
    if not depth:
        yield f"{where} is nested deeper than {MAX_DEPTH}"
        return
    known = _NOTES | {"type", "enum"} | _OWN.get(kind, frozenset())
    for keyword in sorted(schema.keys() - known):
        yield f"{where} has {keyword[:40]!r}, which forms do not have"
    yield from _faults_of_keywords(schema, where)
    yield from _faults_of_parts(schema, where, depth)


def _faults_of_keywords(schema: JsonObject, where: str) -> Faults:
    for keyword in sorted(_LENGTHS & schema.keys()):
        length = schema[keyword]
        if isinstance(length, bool) or not isinstance(length, int) or length < 0:
            yield f"{keyword} of {where} is no length"
    for keyword in ("minimum", "maximum"):
        bound = schema.get(keyword, 0)
        if isinstance(bound, bool) or not isinstance(bound, (int, float)):
            yield f"{keyword} of {where} is no number"
    if "enum" in schema and not (isinstance(schema["enum"], list) and schema["enum"]):
        yield f"the enum of {where} lists nothing"
    if schema.get("additionalProperties", False) is not False:
        yield f"{where} lets members be that it does not name"


def _faults_of_parts(schema: JsonObject, where: str, depth: int) -> Faults:
    if "items" in schema:
        yield from _faults_of(schema["items"], f"an item of {where}", depth - 1)
    members, required = schema.get("properties", {}), schema.get("required", [])
    if not isinstance(members, dict):
        yield f"the properties of {where} are no object"
        return
    for name, member in members.items():
        yield from _faults_of(member, _member(where, name), depth - 1)
    if not isinstance(required, list) or not all(_is_named(each, members) for each in required):
        yield f"{where} requires what it has no property for"


def _is_named(name: Json, members: JsonObject) -> bool:
    return isinstance(name, str) and name in members


def _against(schema: JsonObject, value: Json, where: str) -> Faults:
    kind = schema.get("type")
    if isinstance(kind, str) and not _is(kind, value):
        yield f"{where} is to be {_ARTICLES.get(kind, 'a')} {kind}"
        return
    choices = schema.get("enum")
    if isinstance(choices, list) and _bytes(value) not in map(_bytes, choices):
        listed = ", ".join(_bytes(each).decode() for each in choices)
        yield f"{where} is none of {_shortened(listed)}"
        return
    yield from _out_of_bounds(schema, value, where)
    if isinstance(value, list) and "items" in schema:
        for number, item in enumerate(value, 1):
            yield from _against(_object(schema["items"]), item, f"item {number} of {where}")
    elif isinstance(value, dict) and kind == "object":
        yield from _against_members(schema, value, where)


def _against_members(schema: JsonObject, value: JsonObject, where: str) -> Faults:
    members = _object(schema.get("properties", {}))
    required = schema.get("required", [])
    for name in required if isinstance(required, list) else ():
        if name not in value:
            yield f"{_member(where, str(name))} is missing"
    for name, each in value.items():
        if name in members:
            yield from _against(_object(members[name]), each, _member(where, name))
        else:
            yield f"{_member(where, name)} is not asked for"


def _out_of_bounds(schema: JsonObject, value: Json, where: str) -> Faults:
    if isinstance(value, (str, list)):
        for least, most, what in _BOUNDS:
            if len(value) < _number(schema, least, 0):
                yield f"{where} has less than {schema[least]} {what}"
            if len(value) > _number(schema, most, len(value)):
                yield f"{where} has more than {schema[most]} {what}"
    elif isinstance(value, (int, float)):
        if value < _number(schema, "minimum", value):
            yield f"{where} is less than {schema['minimum']}"
        if value > _number(schema, "maximum", value):
            yield f"{where} is more than {schema['maximum']}"


def _is(kind: str, value: Json) -> bool:
    return isinstance(value, _KINDS[kind]) and (kind == "boolean" or not isinstance(value, bool))


def _number(schema: JsonObject, keyword: str, usual: float) -> float:
    value = schema.get(keyword, usual)
    return value if isinstance(value, (int, float)) else usual


def _object(value: Json) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _member(where: str, name: str) -> str:
    return f"{_shortened(name)!r}" if where == "it" else f"{_shortened(name)!r} of {where}"


def _shortened(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:200]}…"  # noqa: PLR2004 - enough to know it by


_bytes: Final[Callable[[Json], bytes]] = msgspec.json.Encoder(order="sorted").encode
_ARTICLES: Final[Mapping[str, str]] = {"object": "an", "array": "an", "integer": "an"}
