"""JSON Schema with patterns that take linear time. Imported with the first validator.

Whoever writes a schema and whoever writes the value may be the same stranger, and for `(a+)+$` the
regular expressions of Python take longer than anybody waits. So patterns are those of RE2; only
what RE2 does not know, such as a look-ahead, is left to Python.
"""

from __future__ import annotations

import importlib
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol, cast

import jsonschema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from jsonschema import ValidationError
    from jsonschema.protocols import Validator


class _Pattern(Protocol):
    def search(self, text: str, /) -> object: ...


class _Validator(Protocol):
    """What the types of jsonschema leave out of its protocol for validators."""

    def descend(
        self,
        instance: object,
        schema: Mapping[str, object],
        path: str | None = None,
        schema_path: str | None = None,
    ) -> Iterator[ValidationError]: ...


@lru_cache(maxsize=1_024)
def _compiled(pattern: str) -> _Pattern:
    re2 = importlib.import_module("re2")  # It has no types.
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    try:
        return cast("_Pattern", re2.compile(pattern, options))
    except re2.error:
        return re.compile(pattern)


def matches(pattern: str, text: str) -> bool:
    """Say whether a pattern is found anywhere in a text; half a character matches nothing."""
    try:
        return _compiled(pattern).search(text) is not None
    except UnicodeEncodeError:
        return False


def _pattern(
    _: _Validator, pattern: str, instance: object, __: Mapping[str, object]
) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not matches(pattern, instance):
        yield jsonschema.ValidationError(f"{instance!r} does not match {pattern!r}")


def _pattern_properties(
    validator: _Validator,
    patterns: Mapping[str, Mapping[str, object]],
    instance: object,
    _: Mapping[str, object],
) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    members = cast("dict[str, object]", instance)
    for pattern, schema in patterns.items():
        for name in members:
            if matches(pattern, name):
                yield from validator.descend(members[name], schema, path=name, schema_path=pattern)


def _additional_properties(
    validator: _Validator, wanted: object, instance: object, schema: Mapping[str, object]
) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    members = cast("dict[str, object]", instance)
    known = cast("Mapping[str, object]", schema.get("properties", {}))
    patterns = cast("Mapping[str, object]", schema.get("patternProperties", {}))
    extra = [
        name
        for name in members
        if name not in known and not any(matches(pattern, name) for pattern in patterns)
    ]
    if isinstance(wanted, dict):
        for name in extra:
            yield from validator.descend(
                members[name], cast("dict[str, object]", wanted), path=name
            )
    elif wanted is False and extra:
        names = ", ".join(repr(name) for name in sorted(extra))
        verb = "was" if len(extra) == 1 else "were"
        yield jsonschema.ValidationError(
            f"Additional properties are not allowed ({names} {verb} unexpected)"
        )


_extend = cast(
    "Callable[[object, Mapping[str, object]], type[Validator]]",
    importlib.import_module("jsonschema.validators").extend,  # It has no types either.
)

_RULES = {
    "additionalProperties": _additional_properties,
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
}

LinearValidator = _extend(jsonschema.Draft202012Validator, _RULES)
"""Validates by JSON Schema 2020-12."""

LinearDraft7Validator = _extend(jsonschema.Draft7Validator, _RULES)
"""Validates by JSON Schema, draft 7."""
