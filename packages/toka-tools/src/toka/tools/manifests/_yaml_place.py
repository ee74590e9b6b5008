"""Where in a YAML or JSON text something stands."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Mark(Protocol):
    @property
    def line(self) -> int: ...
    @property
    def column(self) -> int: ...


def place_of(data: bytes | str, path: str) -> tuple[int, int]:
    """Return line and column, from 1, of what a path such as `$.spec.parameters[0].name` leads to.

    Where the path leads to nothing it is the place of what would hold it; of a key, that of the
    key. The text is YAML, as `load_yaml` takes it.
    """
    node: yaml.Node | None = yaml.compose(data, Loader=yaml.SafeLoader)
    if node is None:
        return 1, 1
    mark: _Mark = node.start_mark
    for name, index in re.findall(r"\.([^.\[]+)|\[(\d+)\]", path):
        found = _step(node, name, index)
        if found is None:
            break
        mark, node = found
    return mark.line + 1, mark.column + 1


def _step(node: yaml.Node, name: str, index: str) -> tuple[_Mark, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode) and name:
        return next(_named(node, name), None)
    if isinstance(node, yaml.SequenceNode) and index and int(index) < len(node.value):
        item: yaml.Node = node.value[int(index)]
        return item.start_mark, item
    return None


def _named(node: yaml.MappingNode, name: str) -> Iterator[tuple[_Mark, yaml.Node]]:
    for key, value in node.value:
        if key.value == name:
            yield key.start_mark, value
