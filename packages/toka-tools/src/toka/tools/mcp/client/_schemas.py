"""Schemas that somebody else wrote: which are accepted, and checking a result at a bounded cost.

A schema can be a program that never ends: references in a circle, subschemas that double at each
level, an expression that backtracks. None of it is fetched from anywhere, expressions are those of
RE2, and every step of a check is counted.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, Protocol, TypeVar, cast

import attrs
import msgspec

from toka.tools.mcp.client._errors import InvalidResultError, UnusableDefinitionError
from toka.tools.mcp.client._schema_cost import check_cost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jsonschema import ValidationError
    from jsonschema.protocols import Validator
    from referencing.jsonschema import SchemaRegistry

    from toka.types import Json, JsonObject

MAX_SCHEMA_DEPTH: Final = 32
MAX_SCHEMA_NODES: Final = 5_000
MAX_STEPS: Final = 200_000
"""Keywords looked at while one result is checked."""
MAX_VALUE_DEPTH: Final = 64

_REFERENCES: Final = ("$ref", "$dynamicRef", "$recursiveRef")
# Where a schema holds data, in which "$ref" and "pattern" are only words.
_DATA: Final = frozenset({"const", "default", "enum", "examples"})
_NAMED: Final = frozenset(
    {"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"}
)

F = TypeVar("F", bound="Callable[..., object]")


def vet_schema(schema: JsonObject, what: str) -> None:
    """Accept a schema that can be checked at a bounded cost and refers to nothing outside itself.

    Raises:
        UnusableDefinitionError: It is too deep or too large, refers elsewhere, goes in a circle, or
            has an expression that RE2 does not know.
    """
    nodes: list[dict[str, object]] = []
    for depth, node in _nodes(schema):
        nodes.append(node)
        if depth > MAX_SCHEMA_DEPTH or len(nodes) > MAX_SCHEMA_NODES:
            raise UnusableDefinitionError(f"{what} is too deep or too large.")
        _vet_node(node, schema, what)
    check_cost(nodes, lambda reference: _resolve(reference, schema, what), what)


def _nodes(schema: JsonObject) -> Iterator[tuple[int, dict[str, object]]]:
    """Go through every schema in a schema, with its depth."""
    waiting: list[tuple[int, object]] = [(0, schema)]
    while waiting:
        depth, node = waiting.pop()
        if isinstance(node, list):
            waiting += [(depth + 1, one) for one in cast("list[object]", node)]
        if not isinstance(node, dict):
            continue
        entries = cast("dict[str, object]", node)
        yield depth, entries
        for key, value in entries.items():
            if key in _NAMED and isinstance(value, dict):
                named = cast("dict[str, object]", value)
                waiting += [(depth + 1, inner) for inner in named.values()]
            elif key not in _DATA:
                waiting.append((depth + 1, value))


def _vet_node(node: dict[str, object], root: JsonObject, what: str) -> None:
    for keyword in _REFERENCES:
        reference = node.get(keyword)
        if reference is None:
            continue
        if keyword != "$ref" or not isinstance(reference, str) or not reference.startswith("#"):
            raise UnusableDefinitionError(f"{what} refers to something outside itself.")
        _resolve(reference, root, what)
    patterns = node.get("patternProperties")
    expressions = list(cast("dict[str, object]", patterns)) if isinstance(patterns, dict) else []
    pattern = node.get("pattern")
    if isinstance(pattern, str):
        expressions.append(pattern)
    for expression in expressions:
        if _expression(expression) is None:
            raise UnusableDefinitionError(f"{what} has an expression that RE2 does not know.")


def _resolve(reference: str, root: JsonObject, what: str) -> object:
    fragment = reference.removeprefix("#")
    if fragment and not fragment.startswith("/"):
        return _anchored(fragment, root, what)
    node: object = root
    for part in reference.removeprefix("#").split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(node, dict) and key in node:
            node = cast("dict[str, object]", node)[key]
        elif isinstance(node, list) and key.isdecimal():
            several = cast("list[object]", node)
            node = several[int(key)] if int(key) < len(several) else None
        else:
            raise UnusableDefinitionError(f"{what} refers to something that it does not hold.")
    return node


def _anchored(name: str, root: JsonObject, what: str) -> object:
    for _, node in _nodes(root):
        if node.get("$anchor") == name:
            return node
    raise UnusableDefinitionError(f"{what} refers to something that it does not hold.")


@lru_cache(maxsize=512)
def _expression(text: str) -> object:
    import re2  # type: ignore[import-untyped]  # noqa: PLC0415  # pyright: ignore[reportMissingTypeStubs] - has no types; loaded with the first expression

    try:
        return cast("object", re2.compile(text))  # pyright: ignore[reportUnknownMemberType] - see above
    except re2.error:  # pyright: ignore[reportUnknownMemberType] - see above
        return None


class _TooMuchError(Exception):
    """More steps than a check may take."""


def check_result(schema: JsonObject, value: Json, tool: str) -> None:
    """Check what a tool returned against the schema that its server promised.

    Raises:
        InvalidResultError: It does not fit, or finding out takes too long.
    """
    from jsonschema import SchemaError  # noqa: PLC0415 - 60 ms, and most tools promise nothing

    _check_depth(value, tool)
    try:
        validator, budget = _validator(msgspec.json.encode(schema, order="deterministic"))
        budget.left = MAX_STEPS
        fault = next(validator.iter_errors(value), None)
    except (SchemaError, _TooMuchError, RecursionError) as error:
        raise InvalidResultError(
            f"The result of {tool} could not be checked against the schema of its server.",
            details={"tool": tool, "reason": type(error).__name__.strip("_")},
        ) from None
    if fault is not None:
        raise InvalidResultError(
            f"The result of {tool} is not what its server promised, at {_place(fault)}.",
            details={"tool": tool, "rule": str(fault.validator)},
        )


def _place(fault: ValidationError) -> str:
    return fault.json_path[:100]


def _check_depth(value: Json, tool: str) -> None:
    level: list[object] = [value]
    for _ in range(MAX_VALUE_DEPTH + 1):
        children: list[object] = []
        for parent in level:
            if isinstance(parent, dict):
                children += cast("dict[str, object]", parent).values()
            elif isinstance(parent, list):
                children += cast("list[object]", parent)
        if not children:
            return
        level = children
    raise InvalidResultError(f"The result of {tool} is nested deeper than {MAX_VALUE_DEPTH}.")


@attrs.define
class _Budget:
    left: int = MAX_STEPS

    def counted(self, rule: F) -> F:
        """Return a keyword's rule that stops when the budget is used up."""

        def counting(*arguments: object) -> object:
            self.left -= 1
            if self.left < 0:
                raise _TooMuchError
            return rule(*arguments)

        return cast("F", counting)


@lru_cache(maxsize=256)
def _validator(encoded: bytes) -> tuple[Validator, _Budget]:
    from jsonschema import Draft202012Validator, validators  # noqa: PLC0415 - see above

    schema = msgspec.json.decode(encoded)
    Draft202012Validator.check_schema(schema)
    budget = _Budget()
    rules: dict[str, Callable[..., object]] = {**Draft202012Validator.VALIDATORS, **_LINEAR}
    counted = {name: budget.counted(rule) for name, rule in rules.items()}
    extend = cast("Callable[..., type[Validator]]", validators.extend)  # pyright: ignore[reportUnknownMemberType] - untyped
    kind = extend(Draft202012Validator, counted)
    return kind(schema, registry=_nothing_else()), budget


def _nothing_else() -> SchemaRegistry:
    """Return a registry that holds nothing and fetches nothing."""
    from referencing import Registry  # noqa: PLC0415 - comes with jsonschema

    return Registry()


def _pattern(_: Validator, text: str, value: object, __: object) -> Iterator[ValidationError]:
    from jsonschema import ValidationError  # noqa: PLC0415 - see above

    if isinstance(value, str) and not _found(text, value):
        yield ValidationError("does not match")


def _pattern_properties(
    validator: Validator, patterns: dict[str, object], value: object, _: object
) -> Iterator[ValidationError]:
    if not isinstance(value, dict):
        return
    for text, subschema in patterns.items():
        for name, inner in cast("dict[str, object]", value).items():
            if _found(text, name):
                yield from cast("_Descending", validator).descend(
                    inner, subschema, path=name, schema_path=text
                )


def _unique(_: Validator, wanted: object, value: object, __: object) -> Iterator[ValidationError]:
    from jsonschema import ValidationError  # noqa: PLC0415 - see above

    if wanted is True and isinstance(value, list):
        several = cast("list[object]", value)
        distinct = {msgspec.json.encode(one, order="deterministic") for one in several}
        if len(distinct) < len(several):
            yield ValidationError("has two items that are the same")


def _found(text: str, value: str) -> bool:
    expression = _expression(text)
    return expression is not None and cast("_Searching", expression).search(value) is not None


class _Searching(Protocol):
    def search(self, text: str, /) -> object: ...


class _Descending(Protocol):
    def descend(
        self, instance: object, schema: object, path: str, schema_path: str
    ) -> Iterator[ValidationError]: ...


# The usual rules backtrack, and compare every item with every other.
_LINEAR: Final[dict[str, Callable[..., object]]] = {
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "uniqueItems": _unique,
}
