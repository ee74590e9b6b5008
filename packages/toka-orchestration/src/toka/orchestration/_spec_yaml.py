"""YAML to nodes, from the parser's events.

No object of PyYAML's constructor is involved, so no tag can make one. Depth, number of values and
uses of aliases are counted while reading, so a hostile document ends early. Importing this module
imports PyYAML, so it is imported where a YAML document is read and not before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import yaml
from yaml import events

from toka.orchestration._errors import SpecSyntaxError
from toka.orchestration._place import Place
from toka.orchestration._spec_node import (
    MAX_DEPTH,
    MAX_NODES,
    Entry,
    ListNode,
    MapNode,
    Node,
    ScalarNode,
    join,
)
from toka.orchestration._spec_scalar import resolve, unfit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import NoReturn

_TEXT_TAG = "tag:yaml.org,2002:str"
_MERGE = "<<"


def parse_yaml(text: str, file: str) -> Node | None:
    """Return the document in `text`, or None where there is none.

    Raises:
        SpecSyntaxError: It is not YAML, holds several documents, or uses what is not accepted.
    """
    loader = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
    try:
        return _Builder(file, yaml.parse(text, Loader=loader)).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        what = ", ".join([part for part in (error.context, error.problem) if part])
        raise SpecSyntaxError.at(
            Place(file, line, column),
            f"This is not YAML: {what}.",
            "Look at indentation, quotes and brackets from here upwards.",
        ) from error
    except yaml.YAMLError as error:
        raise SpecSyntaxError.at(Place(file), f"This is not YAML: {error}.") from error


class _Builder:
    """Reads one document of a stream of events."""

    def __init__(self, file: str, stream: Iterator[events.Event]) -> None:
        self._file = file
        self._events = stream
        self._anchors: dict[str, Node | None] = {}
        self._count = 0

    def document(self) -> Node | None:
        root: Node | None = None
        documents = 0
        for event in self._events:
            if isinstance(event, events.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._refuse(event, "", "A second document starts here.", "Give it a file.")
            elif isinstance(event, events.NodeEvent):
                root = self._node(event, "", 1)
        return root

    def _node(self, event: events.NodeEvent, path: str, depth: int) -> Node:
        self._spend(event, path, 1)
        self._check_depth(event, path, depth)
        if isinstance(event, events.AliasEvent):
            return self._alias(event, path, depth)
        anchor: str | None = event.anchor
        if anchor is not None:
            self._anchors[anchor] = None
        if isinstance(event, events.ScalarEvent):
            node: Node = self._scalar(event, path)
        elif isinstance(event, events.SequenceStartEvent):
            node = self._sequence(event, path, depth)
        else:
            node = self._mapping(cast("events.MappingStartEvent", event), path, depth)
        if anchor is not None:
            self._anchors[anchor] = node
        return node

    def _alias(self, event: events.AliasEvent, path: str, depth: int) -> Node:
        target = self._anchors.get(event.anchor or "")
        if target is None:
            what = f"The alias *{event.anchor} names no finished value before it."
            self._refuse(event, path, what, f"Define &{event.anchor} first.")
        # An alias costs what it stands for: this is where a bomb of aliases ends.
        size, height = _measure(target)
        self._spend(event, path, size)
        self._check_depth(event, path, depth + height)
        return target

    def _scalar(self, event: events.ScalarEvent, path: str) -> ScalarNode:
        tag: str | None = event.tag
        if tag not in (None, "!", _TEXT_TAG):
            self._refuse_tag(event, path)
        written: str = event.value
        value, vague = (written, "") if tag or not event.implicit[0] else resolve(written)
        why = unfit(value)
        if why:
            self._refuse(event, path, f"This value {why}.", "Write another.")
        return ScalarNode(*_position(event), value, written, vague)

    def _sequence(self, event: events.CollectionStartEvent, path: str, depth: int) -> ListNode:
        self._check_tag(event, path, "tag:yaml.org,2002:seq")
        items: list[Node] = []
        for item in self._until_end():
            items.append(self._node(item, f"{path}[{len(items)}]", depth + 1))
        return ListNode(*_position(event), tuple(items))

    def _mapping(self, event: events.CollectionStartEvent, path: str, depth: int) -> MapNode:
        self._check_tag(event, path, "tag:yaml.org,2002:map")
        entries: dict[str, Entry] = {}
        for key in self._until_end():
            entry = self._entry(key, path, depth)
            if entry.key in entries:
                first = entries[entry.key]
                what = f"The key {entry.key!r} is here for the second time."
                self._refuse(key, path, what, f"The first is in line {first.line}; keep one.")
            entries[entry.key] = entry
        return MapNode(*_position(event), tuple(entries.values()))

    def _entry(self, key: events.NodeEvent, path: str, depth: int) -> Entry:
        if not isinstance(key, events.ScalarEvent):
            self._refuse(key, path, "A key is not plain text.", "Keys are names; write one.")
        node = self._scalar(key, path)
        if node.written == _MERGE and key.implicit[0]:
            what = "The merge key '<<' is not accepted."
            self._refuse(key, path, what, "YAML 1.2 has none; give each block its own alias.")
        value = self._node(next(self._until_end()), join(path, node.written), depth + 1)
        return Entry(node.line, node.column, node.written, value)

    def _until_end(self) -> Iterator[events.NodeEvent]:
        for event in self._events:
            if not isinstance(event, events.NodeEvent):
                return
            yield event

    def _check_tag(self, event: events.CollectionStartEvent, path: str, expected: str) -> None:
        if event.tag not in (None, "!", expected):
            self._refuse_tag(event, path)

    def _refuse_tag(self, event: events.NodeEvent, path: str) -> NoReturn:
        tag = getattr(event, "tag", "")
        self._refuse(event, path, f"The tag {tag} is not accepted.", "Write a plain value.")

    def _check_depth(self, event: events.NodeEvent, path: str, depth: int) -> None:
        if depth > MAX_DEPTH:
            what = f"Containers are nested more than {MAX_DEPTH} deep."
            self._refuse(event, path, what, "Flatten the document.")

    def _spend(self, event: events.NodeEvent, path: str, count: int) -> None:
        self._count += count
        if self._count > MAX_NODES:
            what = f"The document has more than {MAX_NODES} values, aliases written out."
            self._refuse(event, path, what, "Use fewer aliases, or split it into several files.")

    def _refuse(self, event: events.Event, path: str, what: str, hint: str) -> NoReturn:
        line, column = _position(event)
        raise SpecSyntaxError.at(Place(self._file, line, column, path), what, hint)


def _position(event: events.Event) -> tuple[int, int]:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (0, 0)


def _measure(node: Node) -> tuple[int, int]:
    """Return how many values a node holds, itself counted, and how deep they are nested."""
    if isinstance(node, ScalarNode):
        return 1, 0
    parts = [entry.value for entry in node.entries] if isinstance(node, MapNode) else node.items
    measures = [_measure(part) for part in parts]
    return 1 + sum(size for size, _ in measures), 1 + max((deep for _, deep in measures), default=0)
