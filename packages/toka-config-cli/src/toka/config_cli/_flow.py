"""Where characters go in JSON, and within the brackets of YAML."""

from __future__ import annotations

import json
import re

from toka.config_cli._refuse import refuse
from toka.config_cli._tree import FLOW, MAP, QUOTED, Found, Tree
from toka.config_cli._write_scalar import write_json, write_yaml

TYPE_CHECKING = False
if TYPE_CHECKING:
    from toka.config_cli._value import Value

_GAP = re.compile(r"(?:[ \t\r\n]|(?<=[ \t\r\n])#[^\n]*)*")
_INDENT = re.compile(r"[ \t]*")


class Flow:
    """Changes within brackets; a container whose items have lines of their own keeps that."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._text = tree.text

    def replace(self, found: Found, value: Value) -> tuple[int, int, str]:
        """Return what gives way to a value: start, end and text."""
        tree, token = self._tree, self._tree.tokens[found.node]
        start, end = token.start, tree.tokens[tree.stop(found.node) - 1].end
        if not tree.yaml:
            return start, end, self._json(value, self._indent(start))
        style = token.style if token.kind is QUOTED else ""
        anchor = f"&{token.anchor} " if token.anchor else ""
        text = anchor + write_yaml(value, style, flow=True)
        if start == end and found.key >= 0:
            between = self._text[tree.tokens[found.key].end : start]
            text = f" {text}" if ":" in between else f": {text}"
        return start, end, text

    def insert(self, container: int, key: str | None, value: Value) -> tuple[int, str]:
        """Return where a new last entry or item goes, and its text."""
        tree = self._tree
        children = list(tree.children(container))
        opening, closing = tree.tokens[container], tree.tokens[tree.stop(container) - 1]
        self._check_brackets(container)
        if not children:
            start = closing.end - 1
            return start, self._first(opening.start, key, value)
        last = children[-2] if opening.kind is MAP else children[-1]
        end = tree.tokens[tree.stop(children[-1]) - 1].end
        indent = self._own_line(tree.tokens[last].start)
        after_comma = self._after_comma(end, closing.start)
        entry = self._entry(key, value, indent)
        separator = " " if indent is None else f"{self._newline()}{indent}"
        if after_comma is None:
            return end, f",{separator}{entry}"
        return after_comma, f"{separator}{entry}"

    def remove(self, found: Found) -> tuple[int, int]:
        """Return the stretch to take out for an entry or item that is not the only one."""
        tree = self._tree
        self._check_brackets(found.container)
        children = list(tree.children(found.container))
        first = found.key if found.key >= 0 else found.node
        place = children.index(first)
        if place:
            before = tree.tokens[tree.stop(children[place - 1]) - 1].end
            return before, tree.tokens[tree.stop(found.node) - 1].end
        following = children[2 if found.key >= 0 else 1]
        return tree.tokens[first].start, tree.tokens[following].start

    def _first(self, opening: int, key: str | None, value: Value) -> str:
        if self._tree.yaml or (opening and "\n" not in self._text.strip()):
            return self._entry(key, value, None)
        outer = self._indent(opening) or ""
        inner = outer + self._step()
        return f"{self._newline()}{inner}{self._entry(key, value, inner)}{self._newline()}{outer}"

    def _entry(self, key: str | None, value: Value, indent: str | None) -> str:
        if self._tree.yaml:
            text = write_yaml(value, flow=True)
            return text if key is None else f"{write_yaml(key, flow=True)}: {text}"
        text = self._json(value, indent)
        return text if key is None else f"{write_json(key)}: {text}"

    def _json(self, value: Value, indent: str | None) -> str:
        flat = write_json(value)
        if indent is None or not isinstance(value, dict | list) or not value:
            return flat
        pretty = json.dumps(value, ensure_ascii=False, indent=self._step())
        return pretty.replace("\n", f"{self._newline()}{indent}")

    def _step(self) -> str:
        match = re.search(r"\n([ \t]+)\S", self._text)
        return match[1] if match else "  "

    def _newline(self) -> str:
        return "\r\n" if "\r\n" in self._text else "\n"

    def _indent(self, offset: int) -> str | None:
        """Return the indentation of a line, or None where the whole text is one line."""
        if "\n" not in self._text.strip():
            return None
        return self._line_indent(offset)

    def _line_indent(self, offset: int) -> str:
        line = self._text.rfind("\n", 0, offset) + 1
        match = _INDENT.match(self._text, line)
        return match[0] if match else ""

    def _own_line(self, offset: int) -> str | None:
        """Return the indentation of what is the first thing in its line, else None."""
        line = self._text.rfind("\n", 0, offset) + 1
        before = self._text[line:offset]
        return before if line and not before.strip() else None

    def _after_comma(self, end: int, closing: int) -> int | None:
        gap = _GAP.match(self._text, end, closing)
        after = gap.end() if gap else end
        return after + 1 if self._text[after : after + 1] == "," else None

    def _check_brackets(self, container: int) -> None:
        """Refuse a mapping of one entry that YAML lets stand in a list without brackets."""
        token = self._tree.tokens[container]
        if token.style is FLOW and token.kind is MAP and token.start == token.end:
            self._refuse(container)
        if token.style is FLOW and self._text[token.end - 1 : token.end] not in ("{", "["):
            self._refuse(container)

    def _refuse(self, container: int) -> None:
        where = self._tree.place(container)
        refuse(
            "EditRefused", f"{where}: this mapping has no brackets.", "Write {} around it first."
        )
