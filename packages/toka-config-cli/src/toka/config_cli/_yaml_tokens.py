"""YAML to tokens, from the events of libyaml.

The parser says where every scalar and flow container starts and ends. What it does not say is where
the text of a block ends: a block container ends with the last thing in it, and a block scalar
before the blank lines behind it, unless those are part of its value.
"""

from __future__ import annotations

import re

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
        return _Reader(text).read(yaml.parse(text, Loader=loader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        what = ", ".join([part for part in (error.context, error.problem) if part])
        hint = "Look at indentation, quotes and brackets from here upwards."
        refuse("SyntaxInvalid", f"{where}this is not YAML: {what}.", hint)
    except yaml.YAMLError as error:
        refuse("SyntaxInvalid", f"This is not YAML: {' '.join(str(error).split())}.")


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[Token] = []
        self._anchors: dict[str, int] = {}
        self._targets: dict[int, int] = {}

    def read(self, events: Iterator[yaml.Event]) -> Tree:
        """Go once through the events; half a million of them, so this is written for speed."""
        tokens, roots = self._tokens, list[int]()
        flows: list[bool] = []
        add = tokens.append
        for event in events:
            if isinstance(event, yaml.NodeEvent) and not flows:
                roots.append(len(tokens))
            if isinstance(event, yaml.ScalarEvent):
                add(self._scalar(event))
            elif isinstance(event, yaml.CollectionStartEvent):
                add(self._container(event))
                flows.append(tokens[-1].style is FLOW)
                if len(flows) > MAX_DEPTH:
                    self._refuse(event, f"Containers are nested more than {MAX_DEPTH} deep.")
            elif isinstance(event, yaml.CollectionEndEvent):
                end = _span(event)[1] if flows.pop() else tokens[-1].end
                add(Token(END, "", "", "", "", end, end))
            elif isinstance(event, yaml.AliasEvent):
                add(self._alias(event))
            elif isinstance(event, yaml.DocumentStartEvent):
                self._anchors.clear()
        return Tree(self._text, tokens, roots, self._targets, yaml=True)

    def _scalar(self, event: yaml.ScalarEvent) -> Token:
        start, end = _span(event)
        style: str = event.style or ""
        if style in ("|", ">"):
            end = self._block_end(start, end)
        anchor: str = event.anchor or ""
        if anchor:
            self._anchors[anchor] = len(self._tokens)
        tag: str = event.tag or ""
        kind = QUOTED if style or tag in _TEXT_TAGS else PLAIN
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

    def _container(self, event: yaml.CollectionStartEvent) -> Token:
        anchor: str = event.anchor or ""
        if anchor:
            self._anchors[anchor] = len(self._tokens)
        tag: str = event.tag or ""
        kind = MAP if isinstance(event, yaml.MappingStartEvent) else LIST
        style = FLOW if event.flow_style else BLOCK
        start, end = _span(event)
        return Token(kind, "", anchor, tag, style, start, end)

    def _alias(self, event: yaml.AliasEvent) -> Token:
        name: str = event.anchor or ""
        target = self._anchors.get(name)
        if target is None:
            self._refuse(event, f"The alias *{name} names no anchor before it.")
        self._targets[len(self._tokens)] = target
        return Token(ALIAS, name, "", "", "", *_span(event))

    def _refuse(self, event: yaml.Event, what: str) -> NoReturn:
        line = self._text.count("\n", 0, _span(event)[0]) + 1
        refuse("SyntaxInvalid", f"line {line}: {what}")


def _span(event: yaml.Event) -> tuple[int, int]:
    """Return where an event starts and ends; the parser gives each its marks."""
    start, end = event.start_mark, event.end_mark
    return start.index if start else 0, end.index if end else 0
