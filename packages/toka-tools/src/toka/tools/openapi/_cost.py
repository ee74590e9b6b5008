"""How much work a schema can make of a small value.

A validator looks at a value once for every way that leads to it through a schema. Ten definitions
that each name the next one twice are a thousand ways, forty are more than a machine does in a year.
So the ways are counted before a schema is enforced, by what could at most apply at one place of a
value and at the places below it:

    E(S, d) = in place(S) + sum of E(C, d - 1) over what applies to every member
                          + max over keys of the sum of E(C, d - 1) over what applies to that member

where *in place* is the schema with all that it applies to the same value (`allOf`, `$ref`, `if`).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, cast

import attrs

from toka.tools.openapi._errors import UnsupportedOperationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toka.types import Json, JsonObject

MAX_WAYS: Final = 20_000
_DEPTH: Final = 64  # As deep as arguments may be.

_IN_PLACE_LIST: Final = ("allOf", "anyOf", "oneOf")
_IN_PLACE_ONE: Final = ("not", "if", "then", "else")
_EVERY: Final = ("additionalProperties", "items", "contains", "propertyNames")


@attrs.define(eq=False)
class _Place:
    """What a schema applies to one value and to its members; children by identity, with counts."""

    ways: int = 1
    every: Counter[int] = attrs.field(factory=Counter[int])
    named: dict[str, Counter[int]] = attrs.field(factory=dict[str, Counter[int]])

    def add(self, other: _Place) -> None:
        self.ways += other.ways
        self.every.update(other.every)
        for key, children in other.named.items():
            self.named.setdefault(key, Counter()).update(children)


@attrs.define(eq=False)
class _Survey:
    definitions: JsonObject
    places: dict[int, _Place] = attrs.field(factory=dict[int, _Place])
    schemas: dict[int, Json] = attrs.field(factory=dict[int, "Json"])
    _open: set[int] = attrs.field(factory=set[int])

    def place(self, schema: Json) -> _Place:
        key = id(schema)
        if key in self._open:
            raise UnsupportedOperationError("a schema applies itself to the same value")
        if key not in self.places:
            self._open.add(key)
            found = _Place()
            if isinstance(schema, dict):
                self._fill(found, schema)
            self._open.remove(key)
            self.places[key] = found
        return self.places[key]

    def _fill(self, found: _Place, schema: JsonObject) -> None:
        for one in self._in_place(schema):
            found.add(self.place(one))
        for keyword in _EVERY:
            if isinstance(schema.get(keyword), dict):
                found.every[self._child(schema[keyword])] += 1
        for one in _values(schema.get("patternProperties")):
            found.every[self._child(one)] += 1
        for one in _items(schema.get("prefixItems")):
            found.every[self._child(one)] += 1
        members = schema.get("properties")
        for key, one in members.items() if isinstance(members, dict) else ():
            found.named.setdefault(key, Counter())[self._child(one)] += 1

    def _in_place(self, schema: JsonObject) -> Iterator[Json]:
        for keyword in _IN_PLACE_LIST:
            yield from _items(schema.get(keyword))
        for keyword in _IN_PLACE_ONE:
            if keyword in schema:
                yield schema[keyword]
        yield from _values(schema.get("dependentSchemas"))
        if "$ref" in schema:
            yield self.definitions[str(schema["$ref"]).removeprefix("#/$defs/")]

    def _child(self, schema: Json) -> int:
        self.schemas[id(schema)] = schema
        return id(schema)


def _items(value: Json) -> list[Json]:
    return [*value] if isinstance(value, list) else []


def _values(value: Json) -> list[Json]:
    return list(value.values()) if isinstance(value, dict) else []


def is_cheap(schema: JsonObject) -> bool:
    """Say whether no value, however formed, is looked at in more than `MAX_WAYS` ways.

    Raises:
        UnsupportedOperationError: The schema leads back to itself without going into the value.
    """
    survey = _Survey(cast("JsonObject", schema.get("$defs", {})))
    places: dict[int, _Place] = {}
    try:
        root = survey.place(schema)
        while todo := survey.schemas.keys() - places.keys():
            for key in todo:
                places[key] = survey.place(survey.schemas[key])
    except RecursionError as error:
        raise UnsupportedOperationError("a schema refers on and on") from error
    costs = {key: place.ways for key, place in places.items()}
    for _ in range(_DEPTH):
        if max([_cost(root, costs), *costs.values()]) > MAX_WAYS:
            return False
        deeper = {key: _cost(place, costs) for key, place in places.items()}
        if deeper == costs:
            return True
        costs = deeper
    return _cost(root, costs) <= MAX_WAYS


def _cost(place: _Place, costs: dict[int, int]) -> int:
    every = _sum(place.every, costs)
    return place.ways + every + max([_sum(each, costs) for each in place.named.values()], default=0)


def _sum(children: Counter[int], costs: dict[int, int]) -> int:
    return sum(count * costs[key] for key, count in children.items())
