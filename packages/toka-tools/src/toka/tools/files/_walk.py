"""A walk over a directory tree that is the same every time and fails at nothing.

Depth first, names in order, directories opened relative to their parents, links never followed.
What cannot be read, or is outside the grant, is reported as skipped.
"""

from __future__ import annotations

import fnmatch
import os
import re
from typing import TYPE_CHECKING, Final

import attrs

from toka.tools._deadline import Deadline
from toka.tools._errors import FileAccessError, PathDeniedError
from toka.tools.files._paths import (
    demand,
    file_request,
    file_type,
    open_child_directory,
    open_directory,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toka.tools._context import ToolContext
    from toka.types import Json

DEFAULT_IGNORE: Final = (".git", ".venv", "node_modules", "__pycache__", ".toka")
MAX_SKIPPED: Final = 1_000
MAX_DEPTH: Final = 128
"""Directories below one another; each one on the way is an open descriptor."""


@attrs.frozen
class Found:
    """One entry of a directory."""

    path: str
    """Absolute."""
    names: tuple[str, ...]
    """Relative to where the walk began."""
    type: str
    status: os.stat_result
    parent: int
    """The directory, open while the walk stands here."""


@attrs.define
class Walk:
    """Walks below one real path."""

    root: str
    context: ToolContext
    hidden: bool
    ignore: tuple[str, ...]
    deepest: int | None
    skipped: list[dict[str, Json]] = attrs.field(factory=list["dict[str, Json]"], init=False)
    skipped_more: int = attrs.field(default=0, init=False)
    _ignored: re.Pattern[str] = attrs.field(init=False)
    _deadline: Deadline = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._ignored = re.compile("|".join([fnmatch.translate(name) for name in self.ignore]))
        self._deadline = Deadline.of(self.context)

    def __iter__(self) -> Iterator[Found]:
        demand("read", self.root, self.context)
        with open_directory(self.root) as descriptor:
            yield from self._directory(descriptor, self.root, ())

    def granted(self, path: str) -> bool:
        """Say whether one entry may be read."""
        try:
            return self.context.granted.covers(file_request("read", path)) is not None
        except PathDeniedError:
            return False

    def skip(self, path: str, reason: str) -> None:
        """Report that something was left out."""
        if len(self.skipped) < MAX_SKIPPED:
            self.skipped.append({"path": printable(path), "reason": reason})
        else:
            self.skipped_more += 1

    def _directory(self, descriptor: int, path: str, names: tuple[str, ...]) -> Iterator[Found]:
        prefix = path if path == "/" else path + "/"
        for entry in self._entries(descriptor, path):
            self._deadline.check()
            found = self._found(entry, prefix + entry.name, names, descriptor)
            if found is None:
                continue
            yield found
            if found.type == "directory" and self._descends(found):
                yield from self._below(found)

    def _entries(self, descriptor: int, path: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(descriptor) as entries:
                wanted = [entry for entry in entries if self._wants(entry.name)]
        except OSError as error:
            self.skip(path, error.strerror or "unreadable")
            return []
        return sorted(wanted, key=lambda entry: entry.name)

    def _wants(self, name: str) -> bool:
        if not self.hidden and name.startswith("."):
            return False
        return not (self.ignore and self._ignored.match(name))

    def _found(
        self, entry: os.DirEntry[str], path: str, names: tuple[str, ...], parent: int
    ) -> Found | None:
        try:
            entry.name.encode()
            status = entry.stat(follow_symlinks=False)
        except UnicodeEncodeError:
            self.skip(path, "the name is not UTF-8")
        except OSError as error:
            self.skip(path, error.strerror or "unreadable")
        else:
            return Found(path, (*names, entry.name), file_type(status.st_mode), status, parent)
        return None

    def _descends(self, found: Found) -> bool:
        if len(found.names) >= MAX_DEPTH:
            self.skip(found.path, f"more than {MAX_DEPTH} directories deep")
            return False
        return self.deepest is None or len(found.names) < self.deepest

    def _below(self, found: Found) -> Iterator[Found]:
        if not self.granted(found.path):
            self.skip(found.path, "outside what is granted")
            return
        try:
            descriptor = open_child_directory(found.parent, found.names[-1], found.path)
        except FileAccessError as error:
            self.skip(found.path, error.message)
        else:
            try:
                yield from self._directory(descriptor, found.path, found.names)
            finally:
                os.close(descriptor)


def printable(path: str) -> str:
    """Return a path with bytes that are no UTF-8 shown as escapes, fit for JSON."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
