"""The schemas of a document as JSON Schema 2020-12 that stands on its own.

A reference stays a reference, to a copy under `$defs`: so schemas that refer to themselves need no
care, and one of a few lines that stands for a gigabyte when written out stays a few lines.

Only keywords whose value has the right type are taken over. Left out is what a validator would
spend unbounded time on, what depends on the way that led to a schema (`$dynamicRef`), and what says
nothing about values (`xml`, `discriminator`, extensions):
a published schema may allow more than the document's, never less.
"""

from __future__ import annotations

import importlib
import re
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, cast

import attrs

from toka.tools.openapi._errors import UnsupportedOperationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from toka.tools.openapi._document import Document
    from toka.types import Json, JsonObject

Direction: TypeAlias = Literal["readOnly", "writeOnly"]
"""The mark of members that do not travel this way: `readOnly` ones are in no request."""

MAX_UNIQUE_ITEMS: Final = 1_000
"""Comparing each item with each other is not done for longer lists."""

_TYPES: Final = frozenset({"null", "boolean", "object", "array", "number", "string", "integer"})
_ONE: Final = frozenset(
    {"additionalProperties", "contains", "else", "if", "items", "not", "propertyNames", "then"}
)
_LIST: Final = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_MAP: Final = frozenset({"dependentSchemas", "patternProperties", "properties"})


def _is_number(value: Json) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_count(value: Json) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_text(value: Json) -> bool:
    return isinstance(value, str)


def _is_flag(value: Json) -> bool:
    return isinstance(value, bool)


def _is_list(value: Json) -> bool:
    return isinstance(value, list)


def _are_names(value: Json) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_type(value: Json) -> bool:
    if isinstance(value, list):
        return bool(value) and all(isinstance(one, str) and one in _TYPES for one in value)
    return isinstance(value, str) and value in _TYPES


def _once(value: Json) -> Json:
    """Return names without those that stand there already, which JSON Schema does not allow."""
    return [*dict.fromkeys(cast("list[str]", value))] if isinstance(value, list) else value


def _is_divisor(value: Json) -> bool:
    return _is_number(value) and cast("float", value) > 0


def _is_pattern(value: Json) -> bool:
    """Say whether a pattern means the same to RE2, which takes linear time, and to Python."""
    if not isinstance(value, str):
        return False
    re2 = importlib.import_module("re2")  # It has no types; and 20 ms at import.
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(value, options)
        re.compile(value)
    except (re2.error, re.error, RecursionError, OverflowError, UnicodeEncodeError):
        return False
    return True


_VALUES: Final[Mapping[str, Callable[[Json], bool]]] = {
    "const": lambda _: True,
    "contentEncoding": _is_text,
    "contentMediaType": _is_text,
    "default": lambda _: True,
    "deprecated": _is_flag,
    "description": _is_text,
    "enum": _is_list,
    "examples": _is_list,
    "exclusiveMaximum": _is_number,
    "exclusiveMinimum": _is_number,
    "format": _is_text,
    "maxContains": _is_count,
    "maxItems": _is_count,
    "maxLength": _is_count,
    "maxProperties": _is_count,
    "maximum": _is_number,
    "minContains": _is_count,
    "minItems": _is_count,
    "minLength": _is_count,
    "minProperties": _is_count,
    "minimum": _is_number,
    "multipleOf": _is_divisor,
    "pattern": _is_pattern,
    "readOnly": _is_flag,
    "required": _are_names,
    "title": _is_text,
    "type": _is_type,
    "uniqueItems": _is_flag,
    "writeOnly": _is_flag,
}


@attrs.define(eq=False)
class SchemaBook:
    """Translates the schemas of one document for one direction, each named one once."""

    _document: Document
    _hidden: Direction
    _names: dict[str, str] = attrs.field(factory=dict[str, str], init=False)
    _taken: set[str] = attrs.field(factory=set[str], init=False)
    _bases: dict[str, int] = attrs.field(factory=dict[str, int], init=False)
    _pending: list[str] = attrs.field(factory=list[str], init=False)
    _definitions: dict[str, Json] = attrs.field(factory=dict[str, "Json"], init=False)
    _references: dict[str, frozenset[str]] = attrs.field(
        factory=dict[str, frozenset[str]], init=False
    )
    _faults: dict[str, UnsupportedOperationError] = attrs.field(
        factory=dict[str, UnsupportedOperationError], init=False
    )

    def standalone(self, schema: JsonObject) -> JsonObject:
        """Return a translated schema with the definitions that it leads to.

        Raises:
            UnsupportedOperationError: One of them is no schema, or refers to something outside.
        """
        wanted, todo = frozenset[str](), _references_in(schema)
        while todo:
            wanted |= todo
            todo = frozenset[str]().union(*[self._reached(name) for name in todo]) - wanted
        if not wanted:
            return schema
        return {**schema, "$defs": {name: self._definitions[name] for name in sorted(wanted)}}

    def _reached(self, name: str) -> frozenset[str]:
        if name in self._faults:
            raise self._faults[name]
        return self._references[name]

    def translate(self, schema: Json) -> Json:
        """Return one schema; its references name definitions of this book.

        Raises:
            UnsupportedOperationError: It is no schema, or refers to something outside.
        """
        translated = self._translate(schema)
        # One after the other, because references may lead on for longer than a stack is deep.
        while self._pending:
            pointer = self._pending.pop()
            name = self._names[pointer]
            try:
                definition = self._translate(self._document.at(pointer))
            except UnsupportedOperationError as error:
                self._faults[name] = error
            else:
                self._definitions[name] = definition
                self._references[name] = _references_in(definition)
        return translated

    def _translate(self, schema: Json) -> Json:
        if isinstance(schema, bool):
            return schema
        if not isinstance(schema, dict):
            raise UnsupportedOperationError("a schema is neither an object nor a boolean")
        if "$id" in schema:
            raise UnsupportedOperationError("a schema gives its references another place: $id")
        reference = schema.get("$ref")
        if reference is not None and self._document.is_30:
            return {"$ref": self._define(str(reference))}
        found = self._keywords(schema)
        if reference is not None:
            found["$ref"] = self._define(str(reference))
        return _nullable(found, schema) if self._document.is_30 else found

    def _keywords(self, schema: JsonObject) -> dict[str, Json]:
        found: dict[str, Json] = {}
        for name, value in schema.items():
            if name in _VALUES and _VALUES[name](value):
                found[name] = _once(value) if name in ("required", "type") else value
            elif name in _ONE and isinstance(value, (dict, bool)):
                found[name] = self._translate(value)
            elif name in _LIST and isinstance(value, list) and value:
                found[name] = [self._translate(one) for one in value]
            elif name in _MAP and isinstance(value, dict):
                found[name] = self._members(name, value)
        self._hide(found)
        _bound(found, schema)
        return found

    def _members(self, keyword: str, members: JsonObject) -> dict[str, Json]:
        if keyword == "patternProperties":
            members = {name: value for name, value in members.items() if _is_pattern(name)}
        return {name: self._translate(value) for name, value in members.items()}

    def _hide(self, found: dict[str, Json]) -> None:
        """Leave out members that do not travel in this direction."""
        members = cast("dict[str, Json]", found.get("properties", {}))
        hidden = {
            name
            for name, one in members.items()
            if isinstance(one, dict) and one.get(self._hidden) is True
        }
        if hidden:
            found["properties"] = {k: v for k, v in members.items() if k not in hidden}
            required = cast("list[str]", found.get("required", []))
            found["required"] = [name for name in required if name not in hidden]

    def _define(self, pointer: str) -> str:
        if not pointer.startswith("#/"):
            self._document.at(pointer)  # Which says why not.
        if pointer not in self._names:
            self._names[pointer] = self._free_name(pointer)
            self._pending.append(pointer)
        return f"#/$defs/{self._names[pointer]}"

    def _free_name(self, pointer: str) -> str:
        base = re.sub(r"[^A-Za-z0-9_.-]", "_", pointer.rpartition("/")[2])[:80] or "schema"
        count = self._bases[base] = self._bases.get(base, 0) + 1
        # Two names are one only if a document takes pains, and then it gets a longer one.
        name = base if count == 1 else f"{base}__{count}"
        while name in self._taken:
            name += "_"
        self._taken.add(name)
        return name


def _references_in(schema: Json) -> frozenset[str]:
    found: set[str] = set()
    todo: list[Json] = [schema]
    while todo:
        value = todo.pop()
        if isinstance(value, dict):
            reference = value.get("$ref")
            if isinstance(reference, str):
                found.add(reference.removeprefix("#/$defs/"))
            todo.extend(_schemas_in(value))
    return frozenset(found)


def _schemas_in(schema: JsonObject) -> Iterator[Json]:
    """Yield the schemas of a schema; by keyword, as a member may be called `$ref` or `enum`."""
    for name, value in schema.items():
        if name in _ONE:
            yield value
        elif name in _LIST and isinstance(value, list):
            yield from value
        elif name in _MAP and isinstance(value, dict):
            yield from value.values()


def _bound(found: dict[str, Json], schema: JsonObject) -> None:
    if (
        found.get("uniqueItems")
        and cast("int", found.get("maxItems", MAX_UNIQUE_ITEMS + 1)) > MAX_UNIQUE_ITEMS
    ):
        del found["uniqueItems"]
    # OpenAPI 3.0 has the form of draft 4: a flag beside the limit.
    for flag, limit in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if schema.get(flag) is True and limit in found:
            found[flag] = found.pop(limit)
    if "example" in schema and "examples" not in found:
        found["examples"] = [schema["example"]]


def _nullable(found: dict[str, Json], schema: JsonObject) -> dict[str, Json]:
    if schema.get("nullable") is not True:
        return found
    kind = found.get("type")
    if isinstance(kind, str):
        found["type"] = [kind, "null"]
        values = found.get("enum")
        if isinstance(values, list) and None not in values:
            found["enum"] = [*values, None]
        return found
    return {"anyOf": [found, {"type": "null"}]}
