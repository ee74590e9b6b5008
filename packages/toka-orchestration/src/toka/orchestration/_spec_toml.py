"""TOML to nodes.

The standard library reads TOML but does not tell where a value stood. The scan here, over a text
known to be TOML, finds the line of every header and every key outside inline tables; values inside
arrays and inline tables carry the place of the key that they belong to.
"""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Final, NoReturn, TypeAlias, cast

from toka.orchestration._errors import SpecSyntaxError
from toka.orchestration._place import Place
from toka.orchestration._spec_node import (
    MAX_DEPTH,
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
    from collections.abc import Iterator, Mapping, Sequence

_Path: TypeAlias = "tuple[str | int, ...]"
_Position: TypeAlias = "tuple[int, int]"

_PART: Final = r"\"(?:[^\"\\\n]|\\.)*+\"|'[^'\n]*+'|[A-Za-z0-9_-]++"
_BLANK = re.compile(r"(?:\s|#[^\n]*)*")
_HEADER = re.compile(rf"(\[\[?)[ \t]*((?:{_PART})(?:[ \t]*\.[ \t]*(?:{_PART}))*)[ \t]*\]\]?")
_KEY = re.compile(rf"((?:{_PART})(?:[ \t]*\.[ \t]*(?:{_PART}))*)[ \t]*=")
_PARTS = re.compile(_PART)
_VALUE = re.compile(
    r'"""(?:\\.|[^\\])*?"""(?:"{0,2})'
    r"|'''(?:.)*?'''(?:'{0,2})"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'"
    r"|#[^\n]*|[\[{]|[\]}]|\n|[^\[\]{}\"'#\n]+",
    re.DOTALL,
)
# Parts of a bounded length only, so that looking for them takes linear time on any text.
_SHORT_PART: Final = r"\"(?:[^\"\\\n]|\\.){0,99}+\"|'[^'\n]{0,99}+'|[A-Za-z0-9_-]{1,99}+"
_LONG_KEY = re.compile(rf"(?<![A-Za-z0-9_-])(?:(?:{_SHORT_PART})[ \t]*+\.[ \t]*+){{{MAX_DEPTH}}}")
_WHERE = re.compile(r" ?\(at (?:line (\d+), column (\d+)|end of document)\)$")


def parse_toml(text: str, file: str) -> Node:
    """Return the document in `text`.

    Raises:
        SpecSyntaxError: It is not TOML, or uses what is not accepted of it.
    """
    # The standard library takes quadratic time on a dotted key of many parts.
    if long := _LONG_KEY.search(text):
        line = text.count("\n", 0, long.start()) + 1
        what = f"A dotted key has more than {MAX_DEPTH} parts."
        raise SpecSyntaxError.at(Place(file, line, 1), what, "Flatten the document.")
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        where = _WHERE.search(message)
        position = (int(where[1]), int(where[2])) if where and where[1] else _end(text)
        what = f"This is not TOML: {_WHERE.sub('', message)}."
        raise SpecSyntaxError.at(Place(file, *position), what, "Mend it here.") from error
    except (RecursionError, ValueError) as error:
        what = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise SpecSyntaxError.at(Place(file), f"This is not TOML that is accepted: {what}.") from (
            error
        )
    return _Builder(file, dict(_positions(text))).node(values, (), "", (1, 1), 1)


class _Builder:
    """Puts the standard library's values and the scan's positions together."""

    def __init__(self, file: str, positions: Mapping[_Path, _Position]) -> None:
        self._file = file
        self._positions = positions

    def node(self, value: object, keys: _Path, path: str, at: _Position, depth: int) -> Node:
        at = self._positions.get(keys, at)
        if depth > MAX_DEPTH:
            self._refuse(at, path, f"Containers are nested more than {MAX_DEPTH} deep.")
        if isinstance(value, dict):
            return self._mapping(cast("dict[str, object]", value), keys, path, at, depth)
        if isinstance(value, list):
            items = [
                self.node(item, (*keys, index), f"{path}[{index}]", at, depth + 1)
                for index, item in enumerate(cast("list[object]", value))
            ]
            return ListNode(*at, tuple(items))
        return self._scalar(value, path, at)

    def _mapping(
        self, value: dict[str, object], keys: _Path, path: str, at: _Position, depth: int
    ) -> MapNode:
        entries: list[Entry] = []
        for key, part in value.items():
            if unfit(key):
                self._refuse(at, path, f"A key {unfit(key)}.")
            node = self.node(part, (*keys, key), join(path, key), at, depth + 1)
            entries.append(Entry(node.line, node.column, key, node))
        return MapNode(*at, tuple(entries))

    def _scalar(self, value: object, path: str, at: _Position) -> ScalarNode:
        if not isinstance(value, str | int | float | bool):
            return ScalarNode(*at, str(value), str(value), "a date or time, which JSON has not")
        scalar: Scalar = value
        if unfit(scalar):
            self._refuse(at, path, f"This value {unfit(scalar)}.")
        written = str(value).lower() if isinstance(value, bool) else str(value)
        return ScalarNode(*at, scalar, written)

    def _refuse(self, at: _Position, path: str, what: str) -> NoReturn:
        raise SpecSyntaxError.at(Place(self._file, *at, path), what)


def _end(text: str) -> _Position:
    return text.count("\n") + 1, len(text) - text.rfind("\n")


def _positions(text: str) -> Iterator[tuple[_Path, _Position]]:
    """Yield the place of every header and key of a text that is known to be TOML."""
    table: _Path = ()
    lengths: dict[_Path, int] = {}
    line, start, index = 1, 0, 0
    while (index := _match(_BLANK, text, index).end()) < len(text):
        line += text.count("\n", start, index)
        start = index
        at = (line, index - text.rfind("\n", 0, index))
        header = _HEADER.match(text, index)
        if header:
            table = _resolve(_names(header[2]), lengths, appends=header[1] == "[[")
            yield table, at
            index = header.end()
            continue
        key = _match(_KEY, text, index)
        names = _names(key[1])
        for depth in range(1, len(names) + 1):
            yield (*table, *names[:depth]), at
        index = _skip_value(text, key.end())


def _match(pattern: re.Pattern[str], text: str, index: int) -> re.Match[str]:
    match = pattern.match(text, index)
    if match is None:
        raise AssertionError(f"the scan of TOML lost its way at {index}")
    return match


def _names(dotted: str) -> list[str]:
    return [_unquote(part) for part in _PARTS.findall(dotted)]


def _unquote(part: str) -> str:
    return str(tomllib.loads(f"key = {part}")["key"]) if part[0] in "\"'" else part


def _resolve(names: Sequence[str], lengths: dict[_Path, int], *, appends: bool) -> _Path:
    """Put the index of the latest element behind each name of an array of tables."""
    path: _Path = ()
    for depth, name in enumerate(names, 1):
        path = (*path, name)
        if appends and depth == len(names):
            lengths[path] = lengths.get(path, 0) + 1
        if path in lengths:
            path = (*path, lengths[path] - 1)
    return path


def _skip_value(text: str, index: int) -> int:
    depth = 0
    while index < len(text):
        token = _match(_VALUE, text, index)
        if token[0] in "[{":
            depth += 1
        elif token[0] in "]}":
            depth -= 1
        elif token[0] == "\n" and depth == 0:
            break
        index = token.end()
    return index
