"""What Git writes for programs to read, as values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from toka.tools.files._walk import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toka.types import Json

LOG_FIELDS: Final = ("%H", "%P", "%an", "%ae", "%aI", "%cn", "%ce", "%cI", "%D", "%B")
LOG_FORMAT: Final = "%x00".join(LOG_FIELDS)

_STATES: Final = {
    "A": "added",
    "C": "copied",
    "D": "deleted",
    "M": "modified",
    "R": "renamed",
    "T": "type_changed",
    "U": "unmerged",
    ".": "",
}


def _name(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


@attrs.frozen
class StatusEntry:
    """One path that is not as in the last commit."""

    path: str
    index: str
    worktree: str
    origin: str | None = None

    def value(self) -> Json:
        """Return it as a result tells it."""
        names = {"path": printable(self.path), "index": self.index, "worktree": self.worktree}
        return names if self.origin is None else {**names, "from": printable(self.origin)}


def parse_status(data: bytes) -> tuple[dict[str, str], list[StatusEntry]]:
    """Read `git status --porcelain=v2 -z --branch`: its headers, and its entries."""
    headers: dict[str, str] = {}
    entries: list[StatusEntry] = []
    records = iter(data.split(b"\0"))
    for record in records:
        kind, _, rest = record.partition(b" ")
        if kind == b"#":
            name, _, value = rest.partition(b" ")
            headers[_name(name)] = _name(value)
        elif kind == b"?":
            entries.append(StatusEntry(_name(rest), "untracked", "untracked"))
        elif kind in (b"1", b"2", b"u"):
            fields = rest.split(b" ", {b"1": 7, b"2": 8, b"u": 9}[kind])
            states = [_STATES.get(letter, letter) for letter in _name(fields[0])]
            origin = _name(next(records, b"")) if kind == b"2" else None
            index, worktree = ("unmerged", "unmerged") if kind == b"u" else states
            entries.append(StatusEntry(_name(fields[-1]), index, worktree, origin))
    return headers, entries


@attrs.define
class ChangedFile:
    """One file of a difference."""

    path: str
    origin: str | None
    state: str
    added: int | None = None
    deleted: int | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Every path whose contents the difference shows."""
        return (self.path,) if self.origin is None else (self.path, self.origin)

    def value(self) -> Json:
        """Return it as a result tells it; a file without lines has none added or deleted."""
        told: dict[str, Json] = {"path": printable(self.path), "status": self.state}
        told |= {"added": self.added, "deleted": self.deleted}
        return told if self.origin is None else {**told, "from": printable(self.origin)}


def parse_changes(data: bytes) -> list[ChangedFile]:
    """Read `git diff --raw --numstat -z`."""
    files: dict[str, ChangedFile] = {}
    records = iter(data.split(b"\0"))
    for record in records:
        if record.startswith(b":"):
            letter = _name(record.rsplit(b" ", 1)[1])[:1]
            first = _name(next(records, b""))
            moved = letter in ("R", "C")
            path = _name(next(records, b"")) if moved else first
            state = _STATES.get(letter, letter)
            files[path] = ChangedFile(path, first if moved else None, state)
        elif record.count(b"\t") >= 2:  # noqa: PLR2004 - added, deleted, path
            _count(files, record, records)
    return list(files.values())


def _count(files: dict[str, ChangedFile], record: bytes, records: Iterator[bytes]) -> None:
    added, deleted, path = record.split(b"\t", 2)
    if not path:  # Of a rename the two paths follow.
        next(records, b"")
        path = next(records, b"")
    found = files.get(_name(path))
    if found is not None and added.isdigit():
        found.added, found.deleted = int(added), int(deleted)


def parse_log(data: bytes) -> list[Json]:
    """Read `git log -z` of `LOG_FORMAT`."""
    fields = data.split(b"\0")
    width = len(LOG_FIELDS)
    return [_commit(fields[at : at + width]) for at in range(0, len(fields) - width + 1, width)]


def _commit(fields: list[bytes]) -> Json:
    texts = [field.decode("utf-8", "replace") for field in fields]
    commit, parents, *people, refs, message = texts
    return {
        "commit": commit,
        "parents": list(parents.split()),
        "author": {"name": people[0], "email": people[1], "time": people[2]},
        "committer": {"name": people[3], "email": people[4], "time": people[5]},
        "refs": [ref for ref in refs.split(", ") if ref],
        "message": message.rstrip("\n"),
    }
