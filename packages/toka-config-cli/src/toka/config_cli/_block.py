"""Where characters go in YAML without brackets: lines and their indentation."""

from __future__ import annotations

import re
from typing import NamedTuple

from toka.config_cli._refuse import refuse
from toka.config_cli._tree import BLOCK, FLOW, LIST, QUOTED, Found, Tree
from toka.config_cli._write_scalar import block_lines, literal, write_yaml

TYPE_CHECKING = False
if TYPE_CHECKING:
    from toka.config_cli._value import Value

_STEP = 2
_PROPERTIES = re.compile(r"(?:[&!][^ \t\r\n]*|[ \t\r\n]|(?<=[ \t\r\n])#[^\n]*)*")
_GAP = re.compile(r"(?:[ \t\r\n]|(?<=[ \t\r\n])#[^\n]*)*")


class _Site(NamedTuple):
    """Where a value is put."""

    head: int
    """The offset after the colon or dash, or of the value of a whole document."""
    column: int
    """Of the key or dash."""
    inner: int
    """The column of lines below it."""


class Block:
    """Changes of lines."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._text = tree.text
        self._newline = "\r\n" if "\r\n" in tree.text else "\n"

    def replace(self, found: Found, value: Value) -> tuple[int, int, str]:
        """Return what gives way to a value: start, end and text."""
        token, end = self._tree.tokens[found.node], self._end(found.node)
        rest = self._text[end : self._line_end(end)]
        site = self._site(found, token.start)
        room = not rest.strip() and not token.anchor and token.style is not FLOW
        if room and isinstance(value, dict | list) and value:
            if found.container < 0 and token.style is not BLOCK:
                return token.start, end, write_yaml(value, flow=True)
            return self._below(found, site, end, value)
        anchor = f"&{token.anchor} " if token.anchor else ""
        style = token.style if token.kind is QUOTED else ""
        text = anchor + self._scalar(value, style, " " * (site.column + _STEP))
        gap = self._text[site.head : token.start]
        if "\n" not in gap:
            return token.start, end, text if gap or found.container < 0 else f" {text}"
        if not gap.strip():
            return site.head, end, f" {text}"
        return token.start, end, " " * (site.inner - self._column(token.start)) + text

    def _site(self, found: Found, start: int) -> _Site:
        tree = self._tree
        if found.container < 0:
            return _Site(start, 0, self._column(start))
        if found.key < 0:
            dash = self._dash(found)
            inner = self._column(start) if start > dash + 1 else self._column(dash) + _STEP
            return _Site(dash + 1, self._column(dash), inner)
        key = tree.tokens[found.key]
        colon = self._text.find(":", key.end, max(start, key.end) + 1)
        if colon < 0 or self._text[key.end : colon].strip():
            where = tree.place(found.key)
            refuse("EditRefused", f"{where}: this key has no ':'.", "Write 'key: value' first.")
        column = self._column(key.start)
        own = tree.tokens[found.node].style is BLOCK and self._column(start) > column
        return _Site(colon + 1, column, self._column(start) if own else column + _STEP)

    def _below(self, found: Found, site: _Site, end: int, value: Value) -> tuple[int, int, str]:
        """Write a container as lines."""
        start = self._tree.tokens[found.node].start
        lines = self.lines(value, " " * site.inner)
        gap = self._text[site.head : start]
        if found.key >= 0 and not gap.strip():
            return site.head, end, f"{self._newline}{' ' * site.inner}{lines}"
        if "\n" in gap:
            return start, end, " " * (site.inner - self._column(start)) + lines
        return start, end, lines if gap or found.container < 0 else f" {lines}"

    def _scalar(self, value: Value, style: str, indent: str) -> str:
        if isinstance(value, str) and "\n" in value and style in ("", "|", ">"):
            text = literal(value, indent, self._newline)
            if text is not None:
                return text
        return write_yaml(value, style)

    def lines(self, value: Value, indent: str) -> str:
        """Return a value as lines, the first one not indented."""
        return f"{self._newline}{indent}".join(block_lines(value))

    def insert(self, container: int, key: str | None, value: Value) -> tuple[int, str]:
        """Return where a new last entry or item goes, and its text."""
        tree = self._tree
        *_, last = tree.children(container)
        column = self._first_column(container)
        at = self._line_end(self._end(last))
        indent = " " * column
        lines = block_lines([value] if key is None else {key: value})
        return at, "".join([f"{self._newline}{indent}{line}" for line in lines])

    def remove(self, found: Found) -> tuple[int, int]:
        """Return the stretch to take out for an entry or item that is not the only one."""
        start = self._tree.tokens[found.key].start if found.key >= 0 else self._dash(found)
        end = self._line_end(self._end(found.node))
        line = self._text.rfind("\n", 0, start) + 1
        if not self._text[line:start].strip():
            return line, self._after_break(end)
        # The first in a line that it shares with a dash: the next takes its place.
        after = self._next_start(found)
        if not self._text[end:after].strip():
            return start, after
        return start, end

    def _next_start(self, found: Found) -> int:
        children = list(self._tree.children(found.container))
        if found.key >= 0:
            return self._tree.tokens[children[2]].start
        return self._dash(Found(children[1], found.container, -1, 1, -1))

    def _dash(self, found: Found) -> int:
        """Return where the dash of an item stands."""
        tree = self._tree
        if not found.position:
            start = tree.tokens[found.container].start
            match = _PROPERTIES.match(self._text, start)
        else:
            before = list(tree.children(found.container))[found.position - 1]
            match = _GAP.match(self._text, self._end(before))
        return match.end() if match else 0

    def _first_column(self, container: int) -> int:
        """Return the column of the first key or dash."""
        tree = self._tree
        first = next(tree.children(container))
        if tree.tokens[container].kind is LIST:
            return self._column(self._dash(Found(first, container, -1, 0, -1)))
        return self._column(tree.tokens[first].start)

    def _column(self, offset: int) -> int:
        return offset - self._text.rfind("\n", 0, offset) - 1

    def _end(self, index: int) -> int:
        return self._tree.tokens[self._tree.stop(index) - 1].end

    def _line_end(self, offset: int) -> int:
        """Return where a line ends, before its break."""
        end = self._text.find("\n", offset)
        if end < 0:
            return len(self._text)
        return end - (end > offset and self._text[end - 1] == "\r")

    def _after_break(self, offset: int) -> int:
        return offset + len(self._newline) if offset < len(self._text) else offset
