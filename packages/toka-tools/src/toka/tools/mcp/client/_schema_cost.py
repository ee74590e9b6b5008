"""What a check against a schema can cost at most, found out before anything is checked.

A schema is a graph: a reference or `allOf` applies another schema to the same value, `properties`
or `items` to a part of it. Values end, so a circle through parts ends too; a circle that stays at
one value does not. Where a part would be compared with a circle twice, the cost doubles with each
level of a value, and no limit on the size of a schema helps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

import attrs

from toka.tools.mcp.client._errors import UnusableDefinitionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Schema = dict[str, object]
    Resolve = Callable[[str], object]

MAX_COST: Final = 20_000
"""Subschemas that one value and its parts are compared with, along the dearest way down."""

_IN_PLACE_ONE: Final = ("if", "then", "else", "not")
_IN_PLACE_MANY: Final = ("allOf", "anyOf", "oneOf")
_OF_ITEMS: Final = ("contains", "items", "unevaluatedItems")
_OF_MEMBERS: Final = ("additionalProperties", "propertyNames", "unevaluatedProperties")
_ANY_MEMBER: Final = ""
_ANY_ITEM: Final = "[]"


@attrs.define
class _Node:
    same: list[int]
    """Schemas that apply to the same value."""
    parts: dict[str, list[int]]
    """Schemas that apply to a part of it."""
    cost: int = 0

    def slots(self) -> Iterator[list[int]]:
        """Give, for each part, all schemas that apply to it."""
        for slot, schemas in self.parts.items():
            everywhere = self.parts.get(_ANY_MEMBER, []) if slot != _ANY_ITEM else []
            yield schemas + (everywhere if slot != _ANY_MEMBER else [])


def check_cost(schemas: list[Schema], resolve: Resolve, what: str) -> None:
    """Refuse a schema that a value could be compared with for ever, or nearly so.

    Args:
        schemas: All schemas within the schema.
        resolve: Finds what a reference leads to.
        what: The schema's name in errors.

    Raises:
        UnusableDefinitionError: It costs too much.
    """
    graph = _graph(schemas, resolve)
    circular = _peel(graph, lambda node: [*node.same, *_all_parts(node)], what)
    if _peel({key: graph[key] for key in circular}, lambda node: node.same, None):
        raise UnusableDefinitionError(f"{what} refers to itself without an end.")
    for key in circular:
        counts = _multiplicities(key, graph, circular)
        everywhere = counts.get(_ANY_MEMBER, 0)
        named = [count for slot, count in counts.items() if slot not in (_ANY_MEMBER, _ANY_ITEM)]
        if max([everywhere, counts.get(_ANY_ITEM, 0), *[one + everywhere for one in named]]) > 1:
            raise UnusableDefinitionError(f"{what} doubles with each level of a value.")


def _all_parts(node: _Node) -> list[int]:
    return [schema for several in node.parts.values() for schema in several]


def _graph(schemas: list[Schema], resolve: Resolve) -> dict[int, _Node]:
    known = {id(schema) for schema in schemas}

    def ids(several: Iterator[object]) -> list[int]:
        return [id(one) for one in several if id(one) in known]

    return {
        id(schema): _Node(
            ids(_same(schema, resolve)),
            {slot: ids(iter(several)) for slot, several in _parts(schema).items()},
        )
        for schema in schemas
    }


def _same(schema: Schema, resolve: Resolve) -> Iterator[object]:
    reference = schema.get("$ref")
    if isinstance(reference, str):
        yield resolve(reference)
    for keyword in _IN_PLACE_ONE:
        yield schema.get(keyword)
    for keyword in _IN_PLACE_MANY:
        several = schema.get(keyword)
        yield from cast("list[object]", several) if isinstance(several, list) else ()
    yield from _values(schema.get("dependentSchemas"))


def _parts(schema: Schema) -> dict[str, list[object]]:
    found: dict[str, list[object]] = {_ANY_MEMBER: [], _ANY_ITEM: []}
    properties = schema.get("properties")
    if isinstance(properties, dict):
        for name, inner in cast("Schema", properties).items():
            found[f".{name}"] = [inner]
    found[_ANY_MEMBER] += _values(schema.get("patternProperties"))
    found[_ANY_MEMBER] += [schema.get(keyword) for keyword in _OF_MEMBERS]
    found[_ANY_ITEM] += [schema.get(keyword) for keyword in _OF_ITEMS]
    prefix = schema.get("prefixItems")
    found[_ANY_ITEM] += cast("list[object]", prefix) if isinstance(prefix, list) else []
    return found


def _values(value: object) -> list[object]:
    return list(cast("Schema", value).values()) if isinstance(value, dict) else []


def _peel(
    graph: dict[int, _Node], edges: Callable[[_Node], list[int]], what: str | None
) -> set[int]:
    """Take away, from its ends, all of a graph that has an end; return what goes in circles.

    Raises:
        UnusableDefinitionError: A part that has an end costs too much; with `what` only.
    """
    waiting: dict[int, int] = {}
    users: dict[int, list[int]] = {}
    for key, node in graph.items():
        inside = [one for one in edges(node) if one in graph]
        waiting[key] = len(inside)
        for one in inside:
            users.setdefault(one, []).append(key)
    ready = [key for key, count in waiting.items() if count == 0]
    while ready:
        key = ready.pop()
        del waiting[key]
        if what is not None:
            _charge(graph, graph[key], what)
        for user in users.get(key, ()):
            waiting[user] -= 1
            if waiting[user] == 0:
                ready.append(user)
    return set(waiting)


def _charge(graph: dict[int, _Node], node: _Node, what: str) -> None:
    dearest = max((sum(graph[one].cost for one in slot) for slot in node.slots()), default=0)
    node.cost = 1 + sum(graph[one].cost for one in node.same) + dearest
    if node.cost > MAX_COST:
        raise UnusableDefinitionError(f"{what} grows beyond all bounds.")


def _multiplicities(key: int, graph: dict[int, _Node], circular: set[int]) -> dict[str, int]:
    """Return, for each part of a value, how often it is compared with what goes in circles."""
    counts: dict[str, int] = {}
    waiting, looked = [key], 0
    while waiting:
        node = graph[waiting.pop()]
        looked += 1
        if looked > MAX_COST:
            return {_ANY_MEMBER: looked}
        waiting += [one for one in node.same if one in circular]
        for slot, schemas in node.parts.items():
            back = sum(one in circular for one in schemas)
            if back:
                counts[slot] = counts.get(slot, 0) + back
    return counts
