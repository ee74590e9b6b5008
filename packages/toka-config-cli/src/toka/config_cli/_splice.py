"""Changes of YAML and JSON as replacements of text: everything outside of one stretch stays.

`set_value` and `delete_value` find the node, say which characters give way to which, and hand back
the new text only after it was read again: every token before and after the change must be there as
it was, and the value at the path must be the one that was asked for. What this surgery does not
know how to do without harm is refused.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from toka.config_cli._block import Block
from toka.config_cli._flow import Flow
from toka.config_cli._key_path import show_path
from toka.config_cli._refuse import refuse
from toka.config_cli._tree import ALIAS, END, FLOW, LIST, MAP, PLAIN, Found, Tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from toka.config_cli._key_path import KeyPath, Segment
    from toka.config_cli._value import Value


class Splice(NamedTuple):
    """Characters that give way to others, and the tokens that go with them."""

    start: int
    end: int
    text: str
    token: int
    removed: int


def set_value(
    tree: Tree,
    parse: Callable[[str], Tree],
    path: KeyPath,
    value: Value,
    *,
    document: int = 0,
    follow: bool = False,
) -> Tree:
    """Return the text with one value put in, or replaced.

    Args:
        tree: The text as it is.
        parse: Reads a text of its format.
        path: Where; mappings that are missing on the way are made.
        value: What.
        document: Of a stream of several, which.
        follow: Change a value that aliases stand for, with all of them.

    Raises:
        EditRefused: It cannot be done without changing something else.
        NotThere: An item of a list is not there.
        CannotCarry: The format cannot hold the value.
    """
    if document >= len(tree.roots):
        return _fill(tree, parse, path, value)
    surgeon = _Surgeon(tree, tree.roots[document], follow=follow)
    changed = _apply(tree, parse, surgeon.set(path, value))
    where = _settled(path, changed, document)
    found, rest = changed.find(where, changed.roots[document])
    if rest or not same(changed.data(found.node), value):
        _refuse_unproved(path)
    return changed


def delete_value(
    tree: Tree, parse: Callable[[str], Tree], path: KeyPath, *, document: int = 0
) -> Tree:
    """Return the text without one value.

    Raises:
        EditRefused: It cannot be done without changing something else.
        NotThere: It is not there.
    """
    if document >= len(tree.roots):
        _refuse_missing(path)
    surgeon = _Surgeon(tree, tree.roots[document], follow=False)
    return _apply(tree, parse, surgeon.delete(path))


def same(one: Value, other: Value) -> bool:
    """Say whether two values are equal in type too: 1 is not True, and not 1.0."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    return type(one) is type(other) and one == other


def _settled(path: KeyPath, tree: Tree, document: int) -> KeyPath:
    """Return a path with the place after the last item replaced by that item's number now."""
    settled: list[Segment] = []
    for segment in path:
        if segment is None:
            found, _ = tree.find(tuple(settled), tree.roots[document])
            settled.append(len(list(tree.children(tree.target(found.node)))) - 1)
        else:
            settled.append(segment)
    return tuple(settled)


def _apply(tree: Tree, parse: Callable[[str], Tree], splice: Splice) -> Tree:
    """Return the text with a splice made, once it is proved that nothing else changed."""
    text = tree.text[: splice.start] + splice.text + tree.text[splice.end :]
    changed = parse(text)
    old, new, first = tree.tokens, changed.tokens, splice.token
    added = len(new) - len(old) + splice.removed
    last_old, last_new = first + splice.removed, first + added
    kept = added >= 0 and len(tree.roots) == len(changed.roots)
    before = kept and all(a[:5] == b[:5] for a, b in zip(old[:first], new[:first], strict=True))
    after = before and all(
        a[:5] == b[:5] for a, b in zip(old[last_old:], new[last_new:], strict=True)
    )
    if not after:
        refuse(
            "EditRefused",
            "The change would alter something else in the file.",
            "Nothing was written; edit this place by hand, as in `toka-config edit FILE`.",
        )
    return changed


def _fill(tree: Tree, parse: Callable[[str], Tree], path: KeyPath, value: Value) -> Tree:
    """Return a text without any value, a few comments perhaps, with its first."""
    text, newline = tree.text, newline_of(tree.text)
    gap = newline if text and not text.endswith("\n") else ""
    block = Block(tree).lines(nested(path, value), "")
    changed = parse(f"{text}{gap}{block}{newline}")
    if not changed.roots or not same(changed.data(changed.roots[-1]), nested(path, value)):
        _refuse_unproved(path)
    return changed


def newline_of(text: str) -> str:
    """Return the line break that a text uses."""
    first = text.find("\n")
    return "\r\n" if first > 0 and text[first - 1] == "\r" else "\n"


def nested(path: KeyPath, value: Value) -> Value:
    """Return a value within the containers that a path needs."""
    for segment in reversed(path):
        if isinstance(segment, str):
            value = {segment: value}
        elif segment in (0, None):
            value = [value]
        else:
            refuse("NotThere", f"There is no list with an item {segment} at {show_path(path)}.")
    return value


class _Surgeon:
    """Decides what a change is: a replacement, an insertion, a removal, or none."""

    def __init__(self, tree: Tree, root: int, *, follow: bool) -> None:
        self._tree = tree
        self._root = root
        self._follow = follow

    def set(self, path: KeyPath, value: Value) -> Splice:
        found, rest = self._tree.find(path, self._root)
        if found.through >= 0 and not rest:
            parent, _ = self._tree.find(path[:-1], self._root)
            if parent.through < 0 and self._tree.tokens[parent.node].kind is MAP:
                return self._insert(parent, path[-1:], value, path)
        if found.through >= 0 or (rest and self._tree.tokens[found.node].kind is ALIAS):
            self._refuse_alias(found, path)
        if not rest:
            return self._replace(found, value, path)
        if self._is_null(found.node):
            return self._replace(found, nested(rest, value), path)
        return self._insert(found, rest, value, path)

    def _is_null(self, index: int) -> bool:
        token = self._tree.tokens[index]
        return token.kind is PLAIN and self._tree.data(index) is None

    def _replace(self, found: Found, value: Value, path: KeyPath) -> Splice:
        tree, index = self._tree, found.node
        self._check_anchors(index, tree.stop(index), path, own=self._follow)
        start, end, text = self._style(found.container).replace(found, value)
        return Splice(start, end, text, index, tree.stop(index) - index)

    def _insert(self, found: Found, rest: KeyPath, value: Value, path: KeyPath) -> Splice:
        tree, index = self._tree, found.node
        kind, segment = tree.tokens[index].kind, rest[0]
        at = path[: len(path) - len(rest)]
        if kind is MAP and isinstance(segment, str):
            new: Value = nested(rest[1:], value)
            start, text = self._style(index).insert(index, segment, new)
        elif kind is LIST and not isinstance(segment, str):
            count = len(list(tree.children(index)))
            if segment is not None and segment != count:
                what = f"{show_path(at)} has {count} items; there is no [{segment}]."
                refuse("NotThere", what, "Write [+] to add one behind the last.")
            start, text = self._style(index).insert(index, None, nested(rest[1:], value))
        else:
            self._refuse_kind(index, at, segment)
        return Splice(start, start, text, tree.stop(index) - 1, 0)

    def delete(self, path: KeyPath) -> Splice:
        tree = self._tree
        if not path:
            refuse("EditRefused", "The whole document cannot be deleted.", "Delete the file.")
        found, rest = tree.find(path, self._root)
        if rest:
            _refuse_missing(path)
        if found.through >= 0:
            self._refuse_alias(found, path)
        first = found.key if found.key >= 0 else found.node
        stop = tree.stop(found.node)
        self._check_anchors(first, stop, path, own=False)
        if len(list(tree.children(found.container))) == (2 if found.key >= 0 else 1):
            start, end, text = self._empty(found)
            whole = found.container
            return Splice(start, end, text, whole, tree.stop(whole) - whole)
        start, end = self._style(found.container).remove(found)
        return Splice(start, end, "", first, stop - first)

    def _empty(self, found: Found) -> tuple[int, int, str]:
        """Say how the container becomes `{}` or `[]`; its place is found anew."""
        value: Value = {} if found.key >= 0 else []
        holder = self._holder(found.container)
        place = self._placed(holder, found.container)
        return self._style(holder).replace(place, value)

    def _holder(self, container: int) -> int:
        """Return the container that a container is directly in, or -1."""
        tree = self._tree
        for index in range(container - 1, -1, -1):
            if tree.tokens[index].kind in (MAP, LIST) and tree.stop(index) > container:
                return index
        return -1

    def _placed(self, holder: int, index: int) -> Found:
        if holder < 0:
            return Found(index, -1, -1, 0, -1)
        children = list(self._tree.children(holder))
        position = children.index(index)
        if self._tree.tokens[holder].kind is MAP:
            return Found(index, holder, children[position - 1], position // 2, -1)
        return Found(index, holder, -1, position, -1)

    def _style(self, container: int) -> Block | Flow:
        tree = self._tree
        if not tree.yaml or (container >= 0 and tree.tokens[container].style is FLOW):
            return Flow(tree)
        return Block(tree)

    def _check_anchors(self, first: int, stop: int, path: KeyPath, *, own: bool) -> None:
        """Refuse to take an anchor away from the aliases that stand for it."""
        tokens = self._tree.tokens
        for alias, target in self._tree.targets.items():
            if (
                first <= target < stop
                and not first <= alias < stop
                and not (own and target == first)
            ):
                name = tokens[alias].value
                used = self._tree.place(alias)
                what = f"{show_path(path)} holds the anchor &{name}, used at {used}."
                hint = "Change or delete the aliases first"
                alone = target == first and tokens[first].anchor == name
                more = ", or give --follow-aliases to change them all." if alone else "."
                refuse("EditRefused", what, hint + more)

    def _refuse_alias(self, found: Found, path: KeyPath) -> NoReturn:
        tree = self._tree
        alias = found.through if found.through >= 0 else found.node
        what = f"{show_path(path)} is reached through {tree.place(alias)}, which stands for another"
        target = tree.targets.get(alias)
        where = f" at {tree.place(target)}" if target is not None else ""
        hint = "Change it where it is written, or write the mapping out here first."
        refuse("EditRefused", f"{what} value{where}.", hint)

    def _refuse_kind(self, index: int, at: KeyPath, segment: Segment) -> NoReturn:
        kind = self._tree.tokens[index].kind
        is_a = {MAP: "a mapping", LIST: "a list", END: ""}.get(kind, "a single value")
        wanted = "a key" if isinstance(segment, str) else "an index"
        hint = f"It takes no {wanted}; set {show_path(at)} itself to replace it."
        refuse("EditRefused", f"{show_path(at)} is {is_a}.", hint)


def _refuse_missing(path: KeyPath) -> NoReturn:
    refuse("NotThere", f"There is no {show_path(path)}.", "`toka-config list FILE` shows the keys.")


def _refuse_unproved(path: KeyPath) -> NoReturn:
    refuse(
        "EditRefused",
        f"The new text does not read as the value that {show_path(path)} was to have.",
        "Nothing was written; edit this place by hand.",
    )
