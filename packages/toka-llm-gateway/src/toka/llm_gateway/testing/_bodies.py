"""Looking into JSON bodies, and writing the pieces that both formats share."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from toka.types import Json, JsonObject

_WORDS: Final = re.compile(r"\S+\s*|\s+")


def words(text: str) -> list[str]:
    """Return the pieces in which a text is streamed."""
    return _WORDS.findall(text)


def as_object(value: Json) -> JsonObject:
    """Return an object, or an empty one for anything else."""
    return value if isinstance(value, Mapping) else {}


def as_objects(value: Json) -> list[JsonObject]:
    """Return a list's items as objects; nothing for anything else."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [as_object(item) for item in value]
    return []
