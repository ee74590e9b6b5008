"""A cursor over one mapping of a document: asks for keys, notes every fault, and goes on.

Reading never stops at the first fault: a fault is noted and a harmless value returned, so that
one run shows all of them. Whatever was not asked for when the block is finished is unknown.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from typing import TYPE_CHECKING, Final, TypeVar

import attrs
import msgspec

from toka.orchestration._errors import (
    MissingKeyError,
    SpecError,
    SpecStructureError,
    UnknownKeyError,
)
from toka.orchestration._place import Place, SpecWarning
from toka.orchestration._spec_node import (
    Entry,
    ListNode,
    MapNode,
    Node,
    ScalarNode,
    join,
    kind,
    plain,
    scalars,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from toka.types import JsonObject

T = TypeVar("T")

MAX_TEXT_BYTES: Final = 65_536
"""Longest single text outside of free blocks."""


@attrs.define
class Findings:
    """What was found in one document besides its values."""

    file: str
    errors: list[SpecError] = attrs.field(factory=list[SpecError])
    warnings: list[SpecWarning] = attrs.field(factory=list[SpecWarning])
    places: dict[str, Place] = attrs.field(factory=dict[str, Place])
    """Where things stand that later checks speak of, by path."""

    def place(self, node: Node | Entry | None, path: str) -> Place:
        """Return where `node` stands, and remember it."""
        if node is None:
            return Place(self.file, 0, 0, path)
        found = self.places[path] = Place(self.file, node.line, node.column, path)
        return found

    def remember(self, key: str, node: Node | Entry, path: str) -> None:
        """Let later checks find a place by `key`."""
        self.places[key] = self.place(node, path)

    def error(
        self,
        node: Node | Entry | None,
        path: str,
        what: str,
        hint: str,
        kind: type[SpecError] = SpecStructureError,
    ) -> None:
        """Note a fault."""
        self.errors.append(kind.at(self.place(node, path), what, hint))

    def warn(self, node: Node | Entry | None, path: str, message: str) -> None:
        """Note something that probably is not meant."""
        self.warnings.append(SpecWarning(self.place(node, path), message))


def suggest(name: str, known: Collection[str]) -> str:
    """Return a sentence that names the known name nearest to `name`, or all if they are few."""
    near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.6)
    if near:
        return f"Did you mean {near[0]!r}?"
    return f"Known here: {', '.join(sorted(known))}." if known else ""


class Reader:
    """Reads one mapping."""

    def __init__(self, node: MapNode, path: str, findings: Findings) -> None:
        self.node = node
        self.path = path
        self.findings = findings
        self._asked: set[str] = set()

    def entry(self, *names: str) -> Entry | None:
        """Return the entry under the first of several names for one thing; null is no entry."""
        self._asked.update(names)
        found = [entry for entry in self.node.entries if entry.key in names]
        if len(found) > 1:
            what = f"{found[0].key!r} and {found[1].key!r} are two names of one thing."
            self.findings.error(found[1], self.at(found[1].key), what, "Keep one.")
        entry = found[0] if found else None
        empty = entry is None or (isinstance(entry.value, ScalarNode) and entry.value.value is None)
        return None if empty else entry

    def at(self, key: str) -> str:
        """Return the path of a key."""
        return join(self.path, key)

    def missing(self, key: str, hint: str) -> None:
        """Note that a key is not there."""
        what = f"{key!r} is missing."
        self.findings.error(self.node, self.at(key), what, hint, MissingKeyError)

    def fault(self, key: str, what: str, hint: str = "") -> None:
        """Note a fault of a key's value."""
        entry = self.node.get(key)
        node = None if entry is None else entry.value
        self.findings.error(node, self.at(key), what, hint)

    def text(self, *names: str, as_written: bool = False, required: str = "") -> str:
        """Return a text, or an empty one.

        Args:
            names: The key, and other names for it.
            as_written: Take numbers and dates for the text that they are written as.
            required: What to do where the key is missing; empty where it may be.
        """
        entry = self.entry(*names)
        if entry is None:
            if required:
                self.missing(names[0], required)
            return ""
        found = read_text(
            entry.value, self.at(entry.key), self.findings, as_written=as_written
        ).strip()
        blank = isinstance(entry.value, ScalarNode) and not entry.value.written.strip()
        if required and blank:
            self.missing(names[0], required)
        return found

    def texts(self, *names: str) -> tuple[str, ...]:
        """Return a list of texts; one text alone stands for a list of one."""
        entry = self.entry(*names)
        if entry is None:
            return ()
        path = self.at(entry.key)
        if isinstance(entry.value, ListNode):
            return tuple(
                [
                    read_text(item, f"{path}[{index}]", self.findings)
                    for index, item in enumerate(entry.value.items)
                ]
            )
        return (read_text(entry.value, path, self.findings),)

    def choice(self, key: str, options: tuple[T, ...], default: T) -> T:
        """Return one of a few words."""
        text = self.text(key, as_written=True)
        if not text:
            return default
        found = next((option for option in options if option == text), None)
        if found is None:
            names = [str(option) for option in options]
            self.fault(key, f"{text!r} is none of {', '.join(names)}.", suggest(text, names))
            return default
        return found

    def boolean(self, key: str, *, default: bool) -> bool:
        """Return a truth value."""
        entry = self.entry(key)
        if entry is None:
            return default
        node = entry.value
        if isinstance(node, ScalarNode) and isinstance(node.value, bool):
            return node.value
        self.findings.error(node, self.at(key), f"This is {kind(node)}.", "Write true or false.")
        return default

    def integer(self, key: str, *, minimum: int = 0, maximum: int = 2**53) -> int | None:
        """Return an integer within bounds."""
        number = self.number(key)
        if number is None:
            return None
        if isinstance(number, float) or not minimum <= number <= maximum:
            what = f"{number} is no integer from {minimum} to {maximum}."
            self.fault(key, what, "Write a plain decimal integer.")
            return None
        return number

    def number(self, key: str) -> int | float | None:
        """Return a number."""
        entry = self.entry(key)
        if entry is None:
            return None
        node = entry.value
        value = node.value if isinstance(node, ScalarNode) else None
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value
        what = f"This is {kind(node)}{_because(node)}."
        self.findings.error(node, self.at(key), what, "Write a plain decimal number, no quotes.")
        return None

    def quantity(self, key: str, parse: Callable[[str], T]) -> T | None:
        """Return what `parse` makes of a text or number such as `30s` or `512MB`."""
        text = self.text(key, as_written=True)
        if not text:
            return None
        try:
            return parse(text)
        except ValueError as error:
            self.fault(key, str(error))
            return None

    def block(self, key: str) -> Reader | None:
        """Return the mapping under a key."""
        entry = self.entry(key)
        if entry is None:
            return None
        return read_mapping(entry.value, self.at(key), self.findings)

    def blocks(self, key: str) -> Iterator[Reader]:
        """Yield each mapping of a list of mappings."""
        entry = self.entry(key)
        if entry is not None:
            yield from read_mappings(entry.value, self.at(key), self.findings)

    def free(self, key: str) -> msgspec.Raw:
        """Return a JSON object of any content."""
        entry = self.entry(key)
        if entry is None:
            return msgspec.Raw(b"{}")
        if read_mapping(entry.value, self.at(key), self.findings) is None:
            return msgspec.Raw(b"{}")
        return read_free(entry.value, self.at(key), self.findings)

    def unasked(self) -> list[Entry]:
        """Return the entries that nobody asked for."""
        return [entry for entry in self.node.entries if entry.key not in self._asked]

    @property
    def known(self) -> frozenset[str]:
        """The keys that were asked for."""
        return frozenset(self._asked)

    def finish(self) -> None:
        """Note every entry that nobody asked for as unknown."""
        for entry in self.unasked():
            what = f"The key {entry.key!r} is not known here."
            hint = suggest(entry.key, self._asked)
            self.findings.error(entry, self.at(entry.key), what, hint, UnknownKeyError)


def read_text(node: Node, path: str, findings: Findings, *, as_written: bool = False) -> str:
    """Return a text in Unicode normalisation form C, which everything that is hashed must be in."""
    if not isinstance(node, ScalarNode):
        findings.error(node, path, f"Text is expected here, not {kind(node)}.", "Write a text.")
        return ""
    if not as_written and (node.vague or not isinstance(node.value, str)):
        what = f"Text is expected here, not {kind(node)}{_because(node)}."
        findings.error(node, path, what, f'Write it in quotes: "{node.written}".')
        return ""
    if len(node.written) > MAX_TEXT_BYTES:
        findings.error(node, path, f"This text is longer than {MAX_TEXT_BYTES}.", "Shorten it.")
        return ""
    return unicodedata.normalize("NFC", node.written)


def read_mapping(node: Node, path: str, findings: Findings) -> Reader | None:
    """Return a reader of a mapping, or note that it is none."""
    if isinstance(node, MapNode):
        return Reader(node, path, findings)
    what = f"A mapping is expected here, not {kind(node)}."
    findings.error(node, path, what, "Write 'key: value' pairs.")
    return None


def read_mappings(node: Node, path: str, findings: Findings) -> Iterator[Reader]:
    """Yield a reader for each mapping of a list."""
    if not isinstance(node, ListNode):
        what = f"A list is expected here, not {kind(node)}."
        findings.error(node, path, what, "Write one '- ' item for each.")
        return
    for index, item in enumerate(node.items):
        reader = read_mapping(item, f"{path}[{index}]", findings)
        if reader is not None:
            yield reader


def read_free(node: Node, path: str, findings: Findings) -> msgspec.Raw:
    """Return any value as JSON; a scalar that readers take for different values is a fault."""
    for where, scalar in scalars(node, path):
        if scalar.vague:
            what = f"{scalar.written} is {scalar.vague}."
            findings.error(scalar, where, what, f'Write "{scalar.written}" in quotes, or true,')
    return msgspec.Raw(msgspec.json.encode(plain(node)))


def read_pairs(node: Node, path: str, findings: Findings) -> Iterator[tuple[str, Entry, str]]:
    """Yield key, entry and path of a mapping, or of a list of one-key mappings."""
    if isinstance(node, MapNode):
        for entry in node.entries:
            yield entry.key, entry, join(path, entry.key)
        return
    for reader in read_mappings(node, path, findings):
        if len(reader.node.entries) != 1:
            what = f"This item has {len(reader.node.entries)} keys."
            findings.error(reader.node, reader.path, what, "Write one 'name: text' an item.")
            continue
        entry = reader.node.entries[0]
        yield entry.key, entry, reader.at(entry.key)


def _because(node: Node) -> str:
    vague = node.vague if isinstance(node, ScalarNode) else ""
    return f" ({vague})" if vague else ""


def as_object(raw: msgspec.Raw) -> JsonObject:
    """Decode what `Reader.free` returned."""
    decoded: JsonObject = msgspec.json.decode(raw)
    return decoded


_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def is_identifier(name: str) -> bool:
    """Say whether an expression can use `name` as it is."""
    return _IDENTIFIER.fullmatch(name) is not None
