"""Looking into JSON that somebody else wrote: what is not of the expected kind is not there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toka.types import Json, JsonObject


def as_object(value: Json) -> JsonObject:
    """Return an object, or an empty one for anything else."""
    return value if isinstance(value, Mapping) else {}


def as_objects(value: Json) -> list[JsonObject]:
    """Return a list's items as objects; nothing for anything else."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [as_object(item) for item in value]
    return []


def text(source: JsonObject, *names: str) -> str:
    """Return the first of these fields that is a text, or an empty one."""
    return next((value for name in names if isinstance(value := source.get(name), str)), "")


def integer(source: JsonObject, name: str) -> int | None:
    """Return a field that is an integer."""
    value = source.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def boolean(source: JsonObject, name: str) -> bool | None:
    """Return a field that is true or false."""
    value = source.get(name)
    return value if isinstance(value, bool) else None


def number(source: JsonObject, name: str) -> float | None:
    """Return a field that is a number."""
    value = source.get(name)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
