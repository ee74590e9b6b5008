"""A text of YAML or JSON as a flat list of tokens with places, walked as a tree when asked.

A file of megabytes has half a million tokens; making an object of each node would take longer
than all the rest. So a node is the index of its first token, and what is below it is looked at
where a path leads there. An edit is checked by comparing two lists of tokens.
"""

from __future__ import annotations

from typing import NamedTuple

from toka.config_cli._refuse import refuse
from toka.config_cli._scalar import resolve

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import NoReturn

    from toka.config_cli._key_path import KeyPath, Segment
    from toka.config_cli._value import Value

PLAIN, QUOTED, ALIAS, LIST, MAP, END = "plain", "quoted", "alias", "list", "map", "end"
BLOCK, FLOW = "block", "flow"
MAX_DEPTH = 100
"""Containers within containers."""
MAX_ALIASED = 500_000
"""Values that aliases may add to those written: what keeps a YAML bomb small."""
_MERGE = "<<"
_RESOLVED_TAGS = frozenset(f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float"))


class Token(NamedTuple):
    """A scalar, an alias, or the start or end of a container."""

    kind: str
    value: str
    """Of a scalar its text, of an alias the name of its anchor."""
    anchor: str
    tag: str
    style: str
    """Of a scalar its quotes, of a container block or flow."""
    start: int
    end: int


class Found(NamedTuple):
    """Where a path leads."""

    node: int
    container: int
    """The container that it is directly in, or -1."""
    key: int
    """The key's token, or -1 for an item and for a whole document."""
    position: int
    """Its number among its siblings."""
    through: int
    """The first alias on the way, or -1: what is changed here changes elsewhere too."""


class Tree:
    """The tokens of a text, and the values that they are."""

    def __init__(
        self,
        text: str,
        tokens: list[Token],
        roots: list[int],
        targets: dict[int, int],
        stops: dict[int, int],
        *,
        yaml: bool,
    ) -> None:
        self.text = text
        self.tokens = tokens
        self.roots = roots
        self.targets = targets
        """By alias: the node that it stands for."""
        self.yaml = yaml
        self._stops = stops
        self._spent = 0
        self._read: Callable[[str], Value] = self._core

    def place(self, index: int) -> str:
        """Return line and column of a token as `line 3, column 5`."""
        line, column = self.position(self.tokens[index].start)
        return f"line {line}, column {column}"

    def position(self, offset: int) -> tuple[int, int]:
        """Return line and column of an offset, counted from 1."""
        line = self.text.count("\n", 0, offset) + 1
        return line, offset - self.text.rfind("\n", 0, offset)

    def stop(self, index: int) -> int:
        """Return the index after the node at `index`."""
        return self._stops.get(index, index + 1)

    def children(self, index: int) -> Iterator[int]:
        """Yield the nodes directly in a container: items, or keys and values in turn."""
        index += 1
        while self.tokens[index].kind is not END:
            yield index
            index = self.stop(index)

    def entries(self, index: int) -> Iterator[tuple[int, int]]:
        """Yield the tokens of key and value of each entry of a mapping."""
        children = self.children(index)
        for key in children:
            yield key, next(children)

    def target(self, index: int) -> int:
        """Return the node that an alias stands for, or the node itself."""
        return self.targets[index] if self.tokens[index].kind is ALIAS else index

    def find(self, path: KeyPath, root: int) -> tuple[Found, KeyPath]:
        """Return the node that a path leads to, or the last one on the way with what is left."""
        found = Found(root, -1, -1, 0, -1)
        for number, segment in enumerate(path):
            below = self._step(found, segment)
            if below is None:
                return found, path[number:]
            found = below
        return found, ()

    def _step(self, found: Found, segment: Segment) -> Found | None:
        node, through = found.node, found.through
        if self.tokens[node].kind is ALIAS:
            through = node if through < 0 else through
            node = self.targets[node]
        kind = self.tokens[node].kind
        if kind is MAP and isinstance(segment, str):
            return self._entry(node, segment, through)
        if kind is LIST and isinstance(segment, int):
            items = list(self.children(node))
            if -len(items) <= segment < len(items):
                position = segment % len(items)
                return Found(items[position], node, -1, position, through)
        return None

    def _entry(self, node: int, name: str, through: int) -> Found | None:
        """Return an own entry; else one that a merge key brings, which counts as aliased."""
        match: Found | None = None
        merges: list[tuple[int, int]] = []
        for position, (key, value) in enumerate(self.entries(node)):
            token = self.tokens[key]
            if self._merges(token):
                merges.append((key, value))
            elif token.value == name and token.kind in (PLAIN, QUOTED):
                if match is not None:
                    self._refuse_twice(key)
                match = Found(value, node, key, position, through)
        if match is not None:
            return match
        for key, value in merges:
            for source in self._sources(value):
                inherited = self._entry(source, name, key if through < 0 else through)
                if inherited is not None:
                    return inherited
        return None

    def _merges(self, token: Token) -> bool:
        return self.yaml and token.value == _MERGE and token.kind is PLAIN

    def _sources(self, value: int) -> list[int]:
        node = self.target(value)
        found = (
            [self.target(each) for each in self.children(node)] if self._is_list(node) else [node]
        )
        for each in found:
            if self.tokens[each].kind is not MAP:
                self._refuse(value, "A merge key '<<' names something that is no mapping.")
            if each < value < self.stop(each):
                self._refuse(value, "A mapping is merged into itself.")
        return found

    def _is_list(self, node: int) -> bool:
        return self.tokens[node].kind is LIST

    def data(self, index: int, read: Callable[[str], Value] | None = None) -> Value:
        """Return the value of a node, with aliases and merge keys resolved.

        Args:
            index: The node.
            read: Which value a plain scalar is; the core schema by default.

        Raises:
            SyntaxInvalid: A key is there twice or is no text, an alias contains itself, or
                aliases make it too large.
        """
        self._spent = 0
        self._read = read or self._core
        return self._data(index)

    def _core(self, text: str) -> Value:
        return resolve(text, yaml=self.yaml)

    def _data(self, index: int) -> Value:
        self._spent += 1
        if self._spent > len(self.tokens) + MAX_ALIASED:
            self._refuse(index, f"Aliases add more than {MAX_ALIASED:,} values.")
        token = self.tokens[index]
        if token.kind is PLAIN or token.tag in _RESOLVED_TAGS:
            return self._read(token.value)
        if token.kind is QUOTED:
            return token.value
        if token.kind is MAP:
            return self._mapping(index)
        if token.kind is LIST:
            return [self._data(item) for item in self.children(index)]
        target = self.targets[index]
        if target < index < self.stop(target):
            self._refuse(index, f"The alias *{token.value} stands within what it names.")
        return self._data(target)

    def _mapping(self, index: int) -> Value:
        found: dict[str, Value] = {}
        inherited: dict[str, Value] = {}
        for key, value in self.entries(index):
            token = self.tokens[key]
            if self._merges(token):
                for source in self._sources(value):
                    part = self._data(source)
                    inherited = {**part, **inherited} if isinstance(part, dict) else inherited
                continue
            if token.kind not in (PLAIN, QUOTED):
                self._refuse(key, "A key is no text.", "Keys are names; write one.")
            if token.value in found:
                self._refuse_twice(key)
            found[token.value] = self._data(value)
        return {**inherited, **found} if inherited else found

    def _refuse_twice(self, key: int) -> NoReturn:
        self._refuse(key, f"The key {self.tokens[key].value!r} is here twice.", "Keep one.")

    def _refuse(self, index: int, what: str, hint: str = "") -> NoReturn:
        refuse("SyntaxInvalid", f"{self.place(index)}: {what}", hint)
