"""Queries as SQL; which index leads is the planner's to say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from toka.store.core import MAX_TIME
from toka.store.postgres._schema import KEY, escape

if TYPE_CHECKING:
    from toka.store.core import Query

HIGHEST: Final = 2**63 - 1


class Condition:
    """A `WHERE` clause and its values, of which the first are given."""

    def __init__(self, *values: object) -> None:
        self.values: list[object] = list(values)
        self._parts: list[str] = []

    @property
    def sql(self) -> str:
        """Return the clause, to follow others."""
        return "".join(f" AND {part}" for part in self._parts)

    def value(self, value: object) -> str:
        """Add a value and return its place in the statement."""
        self.values.append(value)
        return f"${len(self.values)}"

    def select(self, query: Query) -> None:
        """Add what a query selects."""
        if not _can_match(query):
            self._parts.append("false")
            return
        if query.kinds:
            self._parts.append(f"({' OR '.join(self._kind(kind) for kind in query.kinds)})")
        if query.intent:
            self._parts.append(f"{self._equals('intent', query.intent)} AND intent <> ''")
        for tag in query.tags:
            chosen = self._equals("value", tag)
            self._parts.append(f"event.position IN (SELECT tag.position FROM tag WHERE {chosen})")
        if query.since is not None:
            self._parts.append(f"time >= {self.value(max(query.since, 0))}")
        if query.until is not None:
            self._parts.append(f"time < {self.value(min(query.until, HIGHEST))}")

    def _kind(self, kind: str) -> str:
        wanted = escape(kind)
        if not kind.endswith("."):
            return f"({self._equals('kind', kind)})"
        starts = f"starts_with(kind, {self.value(wanted)})"
        key = f"left(kind, {KEY})"
        if len(wanted) > KEY:
            return f"({key} = {self.value(wanted[:KEY])} AND {starts})"
        # What begins with "step." lies from there up to "step/", the next character.
        low, high = self.value(wanted), self.value(wanted[:-1] + "/")
        return f"({key} >= {low} AND {key} < {high} AND {starts})"

    def _equals(self, column: str, text: str) -> str:
        wanted = escape(text)
        key, whole = self.value(wanted[:KEY]), self.value(wanted)
        return f"left({column}, {KEY}) = {key} AND {column} = {whole}"


def _can_match(query: Query) -> bool:
    if query.since is not None and query.since > MAX_TIME:
        return False
    if query.until is not None and query.until <= 0:
        return False
    try:
        "".join((*query.kinds, *query.tags, query.intent)).encode()
    except UnicodeEncodeError:
        return False  # no event has such a text
    return True
