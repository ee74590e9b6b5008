"""Queries as SQL: along the narrowest index, in the order of positions.

A page of a long log must not cost more because the log is long. So each statement walks one index
whose entries come in the order of positions, and stops at the limit: of a tag, of an intent, or of
kinds (merged by SQLite, as each of the parts is in order). Which of those that a query names is
narrowest is found by counting a few hundred entries of each. What is left of the query is asked of
each row on the way; the time of an event is also turned into a range of positions beforehand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import attrs

from toka.store.core import MAX_TIME
from toka.store.sqlite._schema import SPAN

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from toka.store.core import Query

_END: Final = 2**63 - 1
_PROBED: Final = 256
"""Entries of an index that are counted to see whether another is narrower."""

_MERGED: Final = 40
"""Kinds that are merged; of more, the log is walked."""

_Values: TypeAlias = list[int | str]


@attrs.frozen
class _Part:
    """Positions in rising order: a table with an index, and what holds in it."""

    table: str
    holds: str
    values: _Values
    place: str = "event.position"


class Selection:
    """A query over a connection: which positions it selects."""

    def __init__(self, connection: sqlite3.Connection, query: Query) -> None:
        self._connection = connection
        self._query = query
        self._low, self._high = 0, _END
        # Both inclusive, and no less or more than SQLite's integers.
        self._since = max(query.since or 0, 0)
        self._until = _END if query.until is None else max(-1, min(query.until - 1, _END))
        self._empty = self._since > min(self._until, MAX_TIME)
        self._intent = self._number(query.intent) if query.intent else None
        self._kinds = self._kind_numbers() if query.kinds else None
        self._timed = query.since is not None or query.until is not None
        if self._timed and not self._empty:
            self._bound()

    def positions(self, after: int, limit: int, *, backward: bool) -> list[int]:
        """Return the first positions beyond one, in the direction of reading."""
        if self._empty or limit <= 0:
            return []
        low = self._low if backward else max(self._low, after)
        high = min(self._high, after) if backward and after else self._high
        parts = self._narrowest(low, high)
        rest, values = self._rest()
        statement = " UNION ALL ".join(
            f"SELECT {part.place} AS place FROM {part.table} WHERE {part.holds}"  # noqa: S608 - constants
            f" AND {part.place} > ? AND {part.place} < ?{rest}"
            for part in parts
        )
        order = " ORDER BY place DESC LIMIT ?" if backward else " ORDER BY place LIMIT ?"
        bound: _Values = []
        for part in parts:
            bound += [*part.values, low, high, *values]
        rows = self._connection.execute(statement + order, (*bound, limit))
        return [place for (place,) in rows]

    def _narrowest(self, low: int, high: int) -> list[_Part]:
        choices = list(self._choices())
        if not choices:
            return [_Part("event NOT INDEXED", "1", [])]
        if len(choices) == 1:
            return choices[0]
        return min(choices, key=lambda parts: sum(self._probe(part, low, high) for part in parts))

    def _choices(self) -> Iterator[list[_Part]]:
        for tag in self._query.tags:
            joined = "tag CROSS JOIN event ON event.position = tag.position"
            yield [_Part(joined, "tag.value = ?", [tag], "tag.position")]
        if self._intent is not None:
            holds = "intent = ? AND intent <> 0"
            yield [_Part("event INDEXED BY event_intent", holds, [self._intent])]
        if self._kinds is not None and len(self._kinds) <= _MERGED:
            table = "event INDEXED BY event_kind"
            yield [_Part(table, "kind = ?", [kind]) for kind in self._kinds]

    def _probe(self, part: _Part, low: int, high: int) -> int:
        row = self._connection.execute(
            f"SELECT count(*) FROM (SELECT 1 FROM {part.table} WHERE {part.holds}"  # noqa: S608 - constants
            f" AND {part.place} > ? AND {part.place} < ? LIMIT ?)",
            (*part.values, low, high, _PROBED),
        )
        return int(row.fetchone()[0])

    def _rest(self) -> tuple[str, _Values]:
        """Return what must hold of each row, whatever index leads to it."""
        query, holds, values = self._query, "", list[int | str]()
        if self._intent is not None:
            holds, values = holds + " AND intent = ?", [*values, self._intent]
        if self._kinds is not None:
            # Numbers of our own, which may be more than a statement has parameters.
            holds += f" AND kind IN ({','.join(map(str, self._kinds))})"
        if self._timed:
            holds, values = holds + " AND time BETWEEN ? AND ?", [*values, self._since, self._until]
        for tag in query.tags:
            holds += (
                " AND EXISTS (SELECT 1 FROM tag AS other WHERE other.value = ?"
                " AND other.position = event.position)"
            )
            values.append(tag)
        return holds, values

    def _number(self, text: str) -> int | None:
        row = self._connection.execute("SELECT id FROM text WHERE value = ?", (text,)).fetchone()
        if row is None:
            self._empty = True
            return None
        return int(row[0])

    def _kind_numbers(self) -> list[int]:
        """Return the numbers of the texts that are such kinds."""
        numbers: set[int] = set()
        for kind in self._query.kinds:
            # The texts that begin with "step." are those from it up to "step/", the next character.
            values = (kind, kind[:-1] + "/") if kind.endswith(".") else (kind, kind + "\0")
            rows = self._connection.execute(
                "SELECT id FROM text WHERE value >= ? AND value < ? AND EXISTS"
                " (SELECT 1 FROM event INDEXED BY event_kind WHERE kind = text.id)",
                values,
            )
            numbers.update(number for (number,) in rows)
        self._empty |= not numbers
        return sorted(numbers)

    def _bound(self) -> None:
        """Turn the times into a range of positions."""
        times = (self._since, self._until)
        first, last, summed = self._connection.execute(
            "SELECT min(last), max(last), coalesce((SELECT max(last) FROM span), 0) FROM span"
            " WHERE newest >= ? AND oldest <= ?",
            times,
        ).fetchone()
        (tail,) = self._connection.execute(
            "SELECT max(position) FROM event WHERE position > ? AND time BETWEEN ? AND ?",
            (summed, *times),
        ).fetchone()
        if first is None and tail is None:
            self._empty = True
            return
        self._low = summed if first is None else first - SPAN
        self._high = (last if tail is None else tail) + 1
