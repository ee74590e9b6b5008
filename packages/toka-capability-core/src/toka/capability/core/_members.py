"""Reading the members of a JSON object: what is of another type is refused, never converted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toka.capability.core._denial import Denial
from toka.capability.core._errors import TokenRefusedError

if TYPE_CHECKING:
    from toka.types import Json, JsonObject


def text(members: JsonObject, name: str) -> str:
    """Return a text."""
    value = members[name]
    if not isinstance(value, str):
        raise malformed(f"{name} is not text")
    return value


def integer(members: JsonObject, name: str) -> int:
    """Return an integer; true and false are none."""
    value = members[name]
    if not isinstance(value, int) or isinstance(value, bool):
        raise malformed(f"{name} is not an integer")
    return value


def values(members: JsonObject, name: str) -> list[Json]:
    """Return a list."""
    value = members[name]
    if not isinstance(value, list):
        raise malformed(f"{name} is not a list")
    return value


def texts(members: JsonObject, name: str) -> tuple[str, ...]:
    """Return a list of texts."""
    found = values(members, name)
    strings = tuple([item for item in found if isinstance(item, str)])
    if len(strings) != len(found):
        raise malformed(f"{name} holds something that is not text")
    return strings


def some_texts(members: JsonObject, name: str) -> tuple[str, ...]:
    """Return a list of texts that says something only if it is not empty."""
    found = texts(members, name)
    # An empty audience read as "no audience" would turn "nobody" into "everybody".
    if not found:
        raise malformed(f"{name} is empty")
    return found


def obj(value: Json, name: str) -> JsonObject:
    """Return an object that is not empty."""
    if not isinstance(value, dict) or not value:
        raise malformed(f"{name} is not an object, or empty")
    return value


def exactly(value: Json, name: str, *members: str) -> JsonObject:
    """Return an object with these members and no other."""
    found = obj(value, name)
    if {*found} != {*members}:
        raise malformed(f"{name} does not hold exactly {', '.join(members)}")
    return found


def malformed(rule: str) -> TokenRefusedError:
    """Make the refusal of a token that cannot be read."""
    return TokenRefusedError.of(Denial(code="capability.malformed", rule=rule))
