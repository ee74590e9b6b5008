"""The tree of a document, whatever its format: values that know where they stand.

YAML, JSON and TOML are each read into these nodes, and everything after works on nodes alone, so
a fault in a value has a line and a column in every format.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from toka.types import Json

MAX_DEPTH: Final = 64
"""Containers within containers."""
MAX_NODES: Final = 100_000
"""Values in one document, each use of an alias counted: what keeps a YAML bomb small."""

Scalar: TypeAlias = str | int | float | bool | None


@attrs.frozen
class ScalarNode:
    """A single value."""

    line: int
    column: int
    value: Scalar
    written: str
    """The source text, without quotes."""
    vague: str = ""
    """Why two readers might take this plain text for two different values; empty if not so."""


@attrs.frozen
class ListNode:
    """A sequence."""

    line: int
    column: int
    items: tuple[Node, ...]


@attrs.frozen
class Entry:
    """A key and its value."""

    line: int
    column: int
    key: str
    value: Node


@attrs.frozen
class MapNode:
    """A mapping; its keys are text as written, each there once."""

    line: int
    column: int
    entries: tuple[Entry, ...]

    def get(self, key: str) -> Entry | None:
        """Return the entry of `key`, if there is one."""
        return next((entry for entry in self.entries if entry.key == key), None)


Node: TypeAlias = ScalarNode | ListNode | MapNode


def plain(node: Node) -> Json:
    """Return a node's value without its places."""
    if isinstance(node, MapNode):
        return {entry.key: plain(entry.value) for entry in node.entries}
    if isinstance(node, ListNode):
        return [plain(item) for item in node.items]
    return node.value


def lenient(node: Node) -> Json:
    """Return a value that nothing interprets: vague scalars stay the text that was written."""
    if isinstance(node, MapNode):
        return {entry.key: lenient(entry.value) for entry in node.entries}
    if isinstance(node, ListNode):
        return [lenient(item) for item in node.items]
    return node.written if node.vague else node.value


def scalars(node: Node, path: str) -> Iterator[tuple[str, ScalarNode]]:
    """Yield every scalar below `node` with its path."""
    if isinstance(node, MapNode):
        for entry in node.entries:
            yield from scalars(entry.value, join(path, entry.key))
    elif isinstance(node, ListNode):
        for index, item in enumerate(node.items):
            yield from scalars(item, f"{path}[{index}]")
    else:
        yield path, node


def join(path: str, key: str) -> str:
    """Return the path of `key` below `path`."""
    return f"{path}.{key}" if path else key


def follow(node: Node, path: str, keys: Sequence[str | int]) -> tuple[Node, str]:
    """Return the node that `keys` lead to and its path, or the last one that is there."""
    for key in keys:
        if isinstance(key, int) and isinstance(node, ListNode) and key < len(node.items):
            node, path = node.items[key], f"{path}[{key}]"
        elif isinstance(node, MapNode) and (entry := node.get(str(key))) is not None:
            node, path = entry.value, join(path, entry.key)
        else:
            break
    return node, path


def kind(node: Node) -> str:
    """Name what a node is, for a sentence."""
    if isinstance(node, MapNode):
        return "a mapping"
    if isinstance(node, ListNode):
        return "a list"
    return _scalar_kind(node)


def _scalar_kind(node: ScalarNode) -> str:
    shown = node.written if len(node.written) <= 40 else f"{node.written[:40]}..."  # noqa: PLR2004
    if node.value is None:
        return "empty"
    if isinstance(node.value, bool):
        return f"the truth value {shown}"
    return f"the number {shown}" if isinstance(node.value, int | float) else f"the text {shown!r}"
