"""What one format can say and another cannot: named before anything is written."""

from __future__ import annotations

import datetime
import math
import re
from typing import NamedTuple

from toka.config_cli._key_path import show_path
from toka.config_cli._scalar import resolve
from toka.config_cli._tree import PLAIN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from toka.config_cli._document import Document
    from toka.config_cli._key_path import KeyPath
    from toka.config_cli._tree import Tree
    from toka.config_cli._value import Value

_COMMENT = re.compile(r"(?:^|(?<=[ \t\r\n\[\]{},]))#")
_TOML = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|#[^\n]*', re.DOTALL
)
_CORE = "tag:yaml.org,2002:"


class Carried(NamedTuple):
    """A value as another format can hold it, and what was lost on the way."""

    value: Value
    losses: list[str]


def carry(document: Document, target: str) -> Carried:
    """Return the value of a document for another format.

    Raises:
        SyntaxInvalid: A key is there twice, or an alias cannot be resolved.
    """
    losses = list(_text_losses(document))
    value = _carried(document.data(), (), target, losses)
    return Carried(value, losses)


def _text_losses(document: Document) -> Iterator[str]:
    comments = _comments(document)
    if comments:
        yield f"{comments} comment{'s' * (comments > 1)}"
    tree = document.tree
    if tree is None or not tree.yaml:
        return
    aliases = len(tree.targets)
    if aliases:
        yield f"{aliases} alias{'es' * (aliases > 1)}, written out"
    for index, token in enumerate(tree.tokens):
        if token.tag not in ("", "!") and not token.tag.startswith(_CORE):
            yield f"the tag {token.tag} at {tree.place(index)}"
    for key in _keys(tree):
        token = tree.tokens[key]
        if (
            token.kind is PLAIN
            and token.value != "<<"
            and not isinstance(resolve(token.value), str)
        ):
            yield f"that the key {token.value} at {tree.place(key)} is no text"


def _keys(tree: Tree) -> Iterator[int]:
    for index, token in enumerate(tree.tokens):
        if token.kind == "map":
            for key, _ in tree.entries(index):
                yield key


def _comments(document: Document) -> int:
    if document.format == "toml":
        return sum(match[0][0] == "#" for match in _TOML.finditer(document.text))
    if document.tree is None or not document.tree.yaml:
        return 0
    tree, count, at = document.tree, 0, 0
    for token in tree.tokens:
        count += len(_COMMENT.findall(tree.text, at, max(at, token.start)))
        at = max(at, token.end) if token.style not in ("block", "flow") else max(at, token.start)
    return count + len(_COMMENT.findall(tree.text, at))


def _carried(value: Value, path: KeyPath, target: str, losses: list[str]) -> Value:
    if isinstance(value, dict):
        return _table(value, path, target, losses)
    if isinstance(value, list):
        kept = [_carried(item, (*path, index), target, losses) for index, item in enumerate(value)]
        if target == "toml" and None in kept:
            losses.append(f"the nulls in the list {show_path(path)}, which TOML has not: left out")
            return [item for item in kept if item is not None]
        return kept
    if isinstance(value, datetime.datetime | datetime.date | datetime.time) and target != "toml":
        losses.append(f"that {show_path(path)} is a date or time: a text in {target}")
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value) and target == "json":
        losses.append(f"the number {value} at {show_path(path)}, which JSON has not: null")
        return None
    return value


def _table(
    value: dict[str, Value], path: KeyPath, target: str, losses: list[str]
) -> dict[str, Value]:
    kept: dict[str, Value] = {}
    for key, item in value.items():
        if item is None and target == "toml":
            losses.append(f"the null at {show_path((*path, key))}, which TOML has not: left out")
        else:
            kept[key] = _carried(item, (*path, key), target, losses)
    return kept
