"""JSON to nodes.

The standard library says whether a text is JSON; the walk here, over a text known to be JSON, adds
what it does not tell: where each value stands, and which key is there twice.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from typing import TYPE_CHECKING, NoReturn, cast

from toka.orchestration._errors import SpecSyntaxError
from toka.orchestration._place import Place
from toka.orchestration._spec_node import (
    MAX_DEPTH,
    MAX_NODES,
    Entry,
    ListNode,
    MapNode,
    Node,
    Scalar,
    ScalarNode,
    join,
)
from toka.orchestration._spec_scalar import unfit

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]|[^\s\[\]{}",:]+')


def parse_json(text: str, file: str) -> Node:
    """Return the document in `text`.

    Raises:
        SpecSyntaxError: It is not JSON, or uses what is not accepted of it.
    """
    try:
        json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        place = Place(file, error.lineno, error.colno)
        raise SpecSyntaxError.at(
            place, f"This is not JSON: {error.msg}.", "Look at quotes, commas and brackets here."
        ) from error
    except (RecursionError, ValueError) as error:
        what = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise SpecSyntaxError.at(Place(file), f"This is not JSON that is accepted: {what}.") from (
            error
        )
    return _Walk(text, file).node("", 1)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")


class _Walk:
    """Goes once over the tokens of a text that is known to be JSON."""

    def __init__(self, text: str, file: str) -> None:
        self._file = file
        self._tokens: Iterator[re.Match[str]] = _TOKEN.finditer(text)
        self._lines = [0, *[match.end() for match in re.finditer("\n", text)]]
        self._count = 0

    def node(self, path: str, depth: int) -> Node:
        return self._value(next(self._tokens), path, depth)

    def _value(self, token: re.Match[str], path: str, depth: int) -> Node:
        self._count += 1
        if depth > MAX_DEPTH:
            self._refuse(token, path, f"Containers are nested more than {MAX_DEPTH} deep.")
        if self._count > MAX_NODES:
            self._refuse(token, path, f"The document has more than {MAX_NODES} values.")
        if token[0] == "{":
            return self._mapping(token, path, depth)
        if token[0] == "[":
            return self._sequence(token, path, depth)
        value = cast("Scalar", json.loads(token[0]))
        why = unfit(value)
        if why:
            self._refuse(token, path, f"This value {why}.")
        written = value if isinstance(value, str) else token[0]
        return ScalarNode(*self._position(token), value, written)

    def _mapping(self, start: re.Match[str], path: str, depth: int) -> MapNode:
        entries: dict[str, Entry] = {}
        while (token := next(self._tokens))[0] != "}":
            key = cast("str", json.loads(token[0]))
            if key in entries:
                first = entries[key].line
                self._refuse(token, path, f"The key {key!r} is here again, after line {first}.")
            if unfit(key):
                self._refuse(token, path, f"This key {unfit(key)}.")
            value = self.node(join(path, key), depth + 1)
            entries[key] = Entry(*self._position(token), key, value)
        return MapNode(*self._position(start), tuple(entries.values()))

    def _sequence(self, start: re.Match[str], path: str, depth: int) -> ListNode:
        items: list[Node] = []
        while (token := next(self._tokens))[0] != "]":
            items.append(self._value(token, f"{path}[{len(items)}]", depth + 1))
        return ListNode(*self._position(start), tuple(items))

    def _position(self, token: re.Match[str]) -> tuple[int, int]:
        line = bisect_right(self._lines, token.start())
        return line, token.start() - self._lines[line - 1] + 1

    def _refuse(self, token: re.Match[str], path: str, what: str) -> NoReturn:
        raise SpecSyntaxError.at(Place(self._file, *self._position(token), path), what)
