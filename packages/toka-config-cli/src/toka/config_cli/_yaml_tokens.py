"""YAML to tokens, from the events of libyaml.

The parser says where every scalar and flow container starts and ends. What it does not say is where
the text of a block ends: a block container ends with the last thing in it, and a block scalar
before the blank lines behind it, unless those are part of its value.
"""

from __future__ import annotations

import re
from typing import Protocol, cast

import yaml

from toka.config_cli._refuse import refuse
from toka.config_cli._tree import (
    ALIAS,
    BLOCK,
    END,
    FLOW,
    LIST,
    MAP,
    MAX_DEPTH,
    PLAIN,
    QUOTED,
    Token,
    Tree,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import NoReturn

_BREAKS = re.compile("[\x85\u2028\u2029]")
_TEXT_TAGS = frozenset({"!", "tag:yaml.org,2002:str"})
_BLOCKS = frozenset({"|", ">"})
_DOCUMENT = "document"
_KINDS: dict[type, str] = {
    yaml.ScalarEvent: PLAIN,
    yaml.MappingStartEvent: MAP,
    yaml.SequenceStartEvent: LIST,
    yaml.MappingEndEvent: END,
    yaml.SequenceEndEvent: END,
    yaml.AliasEvent: ALIAS,
    yaml.DocumentStartEvent: _DOCUMENT,
}


def parse_yaml(text: str) -> Tree:
    """Return the documents in `text`.

    Raises:
        SyntaxInvalid: It is not YAML, or uses what is not accepted of it.
    """
    odd = _BREAKS.search(text)
    if odd:
        line = text.count("\n", 0, odd.start()) + 1
        what = f"line {line}: U+{ord(odd[0]):04X} is a line break in YAML 1.1 and none in YAML 1.2."
        refuse("SyntaxInvalid", what, "Write it as an escape in double quotes.")
    loader = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
    try:
        events = cast("Iterator[_Event]", yaml.parse(text, Loader=loader))
        return _Reader(text).read(events)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        what = ", ".join([part for part in (error.context, error.problem) if part])
        hint = "Look at indentation, quotes and brackets from here upwards."
        refuse("SyntaxInvalid", f"{where}this is not YAML: {what}.", hint)
    except yaml.YAMLError as error:
        refuse("SyntaxInvalid", f"This is not YAML: {' '.join(str(error).split())}.")


class _Mark(Protocol):
    index: int


class _Event(Protocol):
    """An event of PyYAML; which of these attributes it has is for its class to say."""

    start_mark: _Mark
    end_mark: _Mark
    anchor: str | None
    tag: str | None
    value: str
    style: str | None
    flow_style: bool


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[Token] = []
        self._anchors: dict[str, int] = {}
        self._targets: dict[int, int] = {}
        self._make = {
            PLAIN: self._scalar,
            ALIAS: self._alias,
            MAP: self._container,
            LIST: self._container,
        }

    def read(self, events: Iterator[_Event]) -> Tree:
        """Go once through the events; half a million of them, so this is written for speed."""
        tokens, roots, stops = self._tokens, list[int](), dict[int, int]()
        opened: list[int] = []
        for event in events:
            kind = _KINDS.get(type(event))
            if kind is END:
                start = opened.pop()
                flow = tokens[start].style is FLOW
                end = event.end_mark.index if flow else tokens[-1].end
                tokens.append(Token(END, "", "", "", "", end, end))
                stops[start] = len(tokens)
            elif kind is _DOCUMENT:
                self._anchors.clear()
            elif kind is not None:
                if not opened:
                    roots.append(len(tokens))
                if kind is MAP or kind is LIST:
                    opened.append(len(tokens))
                    self._check_depth(event, len(opened))
                tokens.append(self._make[kind](event, kind))
        return Tree(self._text, tokens, roots, self._targets, stops, yaml=True)

    def _scalar(self, event: _Event, kind: str) -> Token:
        style, tag, end = event.style or "", event.tag or "", event.end_mark.index
        start = event.start_mark.index
        if style in _BLOCKS:
            end = self._block_end(start, end)
        anchor = event.anchor or ""
        if anchor:
            self._anchors[anchor] = len(self._tokens)
        if style or tag in _TEXT_TAGS:
            kind = QUOTED
        return Token(kind, event.value, anchor, tag, style, start, end)

    def _block_end(self, start: int, end: int) -> int:
        """Return where a block scalar ends without the line break that ends its last line."""
        region = self._text[start:end]
        kept = region.rstrip(" \t\r\n")
        header, _, _ = region.partition("\n")
        tail = region[len(kept) :].partition("\n")[2]
        if "+" in header.partition("#")[0] or tail.strip("\r\n"):
            return start + len(region.removesuffix("\n").removesuffix("\r"))
        line_end = region.find("\n", len(kept))
        if line_end < 0:
            return end
        return start + line_end - (region[line_end - 1] == "\r")

    def _container(self, event: _Event, kind: str) -> Token:
        anchor = event.anchor or ""
        if anchor:
            self._anchors[anchor] = len(self._tokens)
        style = FLOW if event.flow_style else BLOCK
        start, end = event.start_mark.index, event.end_mark.index
        return Token(kind, "", anchor, event.tag or "", style, start, end)

    def _alias(self, event: _Event, kind: str) -> Token:
        name = event.anchor or ""
        target = self._anchors.get(name)
        if target is None:
            self._refuse(event, f"The alias *{name} names no anchor before it.")
        self._targets[len(self._tokens)] = target
        return Token(kind, name, "", "", "", event.start_mark.index, event.end_mark.index)

    def _check_depth(self, event: _Event, depth: int) -> None:
        if depth > MAX_DEPTH:
            self._refuse(event, f"Containers are nested more than {MAX_DEPTH} deep.")

    def _refuse(self, event: _Event, what: str) -> NoReturn:
        line = self._text.count("\n", 0, event.start_mark.index) + 1
        refuse("SyntaxInvalid", f"line {line}: {what}")
