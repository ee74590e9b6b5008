"""JSON Schema from Python types, and arguments checked against JSON Schema.

One class (or signature) is the source of both a tool's schema and the decoding of its arguments,
so that the two cannot disagree. The schema validator proper is for the registry, which also holds
tools whose schema somebody else wrote; it is loaded at the first check.
"""

from __future__ import annotations

import difflib
from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeVar, cast

import msgspec

from toka.tools._errors import InvalidArgumentsError, InvalidToolError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jsonschema import ValidationError
    from jsonschema.protocols import Validator

    from toka.types import Json, JsonObject

T = TypeVar("T")

MAX_ARGUMENTS_BYTES: Final = 4 << 20
"""Of one call, as JSON text."""

MAX_ARGUMENTS_DEPTH: Final = 64
"""Nested arrays and objects."""


@lru_cache(maxsize=1_024)
def schema_of(kind: type) -> JsonObject:
    """Return the JSON Schema of a class of arguments; members not listed in it are refused.

    Raises:
        InvalidToolError: A field has a type that JSON does not know.
    """
    try:
        (reference,), components = msgspec.json.schema_components(
            [kind], ref_template="#/$defs/{name}"
        )
    except TypeError as error:
        raise InvalidToolError(
            f"{kind.__name__} cannot be described as JSON Schema: {error}.",
            hint="Use str, int, float, bool, list, dict, Literal and optional ones of these.",
        ) from error
    schema = cast("dict[str, Json]", components.pop(reference["$ref"].rpartition("/")[2]))
    schema.pop("title", None)
    schema["additionalProperties"] = False
    if components:
        schema["$defs"] = components
    return schema


def decode(kind: type[T], arguments: JsonObject, tool: str) -> T:
    """Return the arguments as an instance of their class.

    Raises:
        InvalidArgumentsError: They do not fit.
    """
    try:
        return msgspec.convert(arguments, kind)
    except msgspec.ValidationError as error:
        raise InvalidArgumentsError(
            f"The arguments of {tool} are not valid: {error}.", details={"tool": tool}
        ) from error


def fits(kind: type, arguments: JsonObject) -> bool:
    """Say whether arguments satisfy the schema of a class, without saying what is wrong."""
    if not arguments.keys() <= _names(kind):
        return False
    try:
        msgspec.convert(arguments, kind)
    except (msgspec.ValidationError, RecursionError):
        return False
    return True


@lru_cache(maxsize=1_024)
def _names(kind: type) -> frozenset[str]:
    return frozenset(cast("dict[str, object]", schema_of(kind).get("properties", {})))


def parse_arguments(text: str | bytes, tool: str) -> JsonObject:
    """Return the object that `text` holds as JSON; its size is looked at before its contents.

    Raises:
        InvalidArgumentsError: It is too long, too deep, not JSON, or not an object.
    """
    if len(text) > MAX_ARGUMENTS_BYTES:
        raise InvalidArgumentsError(
            f"The arguments of {tool} are longer than {MAX_ARGUMENTS_BYTES} bytes.",
            hint="Put large data into a file and pass its path.",
        )
    try:
        value: object = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InvalidArgumentsError(
            f"The arguments of {tool} are not JSON: {error}.", details={"tool": tool}
        ) from error
    if not isinstance(value, dict):
        raise InvalidArgumentsError(f"The arguments of {tool} must be a JSON object.")
    return cast("JsonObject", value)


def check_depth(value: object, tool: str) -> None:
    """Refuse arguments nested so deeply that a recursive validator would fail on them.

    Raises:
        InvalidArgumentsError: They are deeper than the limit.
    """
    level: list[object] = [value]
    for _ in range(MAX_ARGUMENTS_DEPTH + 1):
        level = [child for parent in level for child in _children(parent)]
        if not level:
            return
    raise InvalidArgumentsError(
        f"The arguments of {tool} are nested deeper than {MAX_ARGUMENTS_DEPTH} levels."
    )


def _children(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return cast("dict[str, object]", value).values()
    return cast("Sequence[object]", value) if isinstance(value, (list, tuple)) else ()


def compile_schema(schema: JsonObject, tool: str) -> Validator:
    """Return a validator for `schema` that never fetches a reference from anywhere.

    Raises:
        InvalidToolError: It is not JSON Schema 2020-12, or draft 7 where `$schema` says that.
    """
    import jsonschema  # noqa: PLC0415 - 60 ms at import, and listing tools needs no validator
    import referencing  # noqa: PLC0415 - comes with jsonschema

    from toka.tools._patterns import (  # noqa: PLC0415 - builds on jsonschema
        LinearDraft7Validator,
        LinearValidator,
    )

    older = "draft-07" in str(schema.get("$schema", ""))
    draft = jsonschema.Draft7Validator if older else jsonschema.Draft202012Validator
    try:
        draft.check_schema(schema)
    except jsonschema.SchemaError as error:
        raise InvalidToolError(
            f"The parameters of {tool} are not JSON Schema: {error.message} at {error.json_path}."
        ) from error
    # Without a registry of its own, the validator would download references that it meets.
    kind = LinearDraft7Validator if older else LinearValidator
    return kind(schema, registry=referencing.Registry())


def check_arguments(validator: Validator, arguments: JsonObject, tool: str) -> None:
    """Check arguments and report the outermost fault.

    Raises:
        InvalidArgumentsError: They break the schema; the message names the place and the remedy.
        InvalidToolError: The schema refers to something outside itself.
    """
    from referencing.exceptions import Unresolvable  # noqa: PLC0415 - see compile_schema

    try:
        faults = validator.iter_errors(_plain(arguments))
        fault = min(faults, key=lambda fault: len(fault.absolute_path), default=None)
    except Unresolvable as error:
        raise InvalidToolError(
            f"The schema of {tool} refers to something that it does not hold: {error}."
        ) from error
    if fault is not None:
        raise InvalidArgumentsError(
            f"{tool}: {fault.json_path}: {_shorten(fault.message)}.",
            hint=_remedy(fault, arguments),
            details={"tool": tool, "path": fault.json_path, "rule": str(fault.validator)},
        )


def _plain(arguments: JsonObject) -> JsonObject:
    return arguments if isinstance(arguments, dict) else dict(arguments)


def _shorten(message: str, limit: int = 300) -> str:
    text = message.removesuffix(".")
    return text if len(text) <= limit else f"{text[: limit // 2]} ... {text[-limit // 2 :]}"


def _remedy(fault: ValidationError, arguments: JsonObject) -> str:
    rule: object = fault.validator
    wanted: object = fault.validator_value
    if rule == "required":
        return f"Pass {', '.join(cast('list[str]', wanted))}."
    if rule == "type":
        return f"Pass a value of type {wanted}."
    if rule == "additionalProperties" and not fault.absolute_path:
        schema = cast("dict[str, dict[str, object]]", fault.schema)
        known = sorted(schema.get("properties", {}))
        return _nearest(set(arguments) - set(known), known)
    return ""


def _nearest(unknown: set[str], known: list[str]) -> str:
    for name in sorted(unknown):
        for match in difflib.get_close_matches(name, known, 1):
            return f"Did you mean {match!r}?"
    return f"It takes {', '.join(known)}." if known else "It takes no arguments."
