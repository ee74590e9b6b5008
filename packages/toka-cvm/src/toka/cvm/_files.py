"""The files of a guest: directories that are open before it starts, and what it opens beneath.

Every path is walked one segment at a time from the handle of a directory, and no symbolic link is
ever followed: so nothing outside can be named, whatever changes meanwhile, and two names that are
covered by different permissions cannot be one file. Beneath the handle, each use of a path is
asked of the authority again, under its full name. Refused besides: files that are no regular files
(a pipe would block, a device does anything), files with a second hard link (they may have another
name outside), and making links of either kind (the host might follow them).
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

import attrs

from toka.cvm._errors import QuotaError

if TYPE_CHECKING:
    from collections.abc import Generator

    from toka.capability.core import Permission
    from toka.cvm._authority import Authority

FIRST_HANDLE: Final = 3
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# With O_PATH a directory can be passed through without the right to list it.
_PASS: Final = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | getattr(os, "O_PATH", 0)
_FILE: Final = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_LONGEST_PATH: Final = 4_096


@attrs.define(eq=False)
class Handle:
    """What a guest's number stands for."""

    descriptor: int
    path: str
    """The full name, under which the authority is asked."""
    is_directory: bool
    readable: bool = True
    writable: bool = False
    appends: bool = False
    preopened: bool = False
    listing: list[tuple[str, int, int]] = attrs.field(factory=list[tuple[str, int, int]])

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self.descriptor)


class FileTable:
    """The handles of one guest; a number means nothing anywhere else."""

    def __init__(self, authority: Authority, most: int) -> None:
        self._most = most
        self._handles: dict[int, Handle] = {}
        for path in _roots(authority):
            descriptor = _open_root(path, follows_links=authority.follows_links)
            if descriptor is None:
                continue
            self.insert(Handle(descriptor, path, is_directory=True, preopened=True))

    def get(self, number: int) -> Handle | None:
        """Return a handle, or None where the number stands for nothing."""
        return self._handles.get(number)

    def preopened(self) -> list[Handle]:
        """Return the directories that are open from the start."""
        return [one for one in self._handles.values() if one.preopened]

    def insert(self, handle: Handle) -> int:
        """Take a handle and return its number, the lowest that is free.

        Raises:
            QuotaError: The guest holds as many as it may; the handle was closed.
        """
        if len(self._handles) >= self._most:
            handle.close()
            raise QuotaError(f"The guest holds over {self._most} open files.")
        number = FIRST_HANDLE
        while number in self._handles:
            number += 1
        self._handles[number] = handle
        return number

    def remove(self, number: int) -> bool:
        """Close one; say whether it was there."""
        handle = self._handles.pop(number, None)
        if handle is not None:
            handle.close()
        return handle is not None

    def move(self, source: int, target: int) -> bool:
        """Let `target` stand for what `source` does; say whether both were there."""
        if source not in self._handles or target not in self._handles:
            return False
        if source != target:
            self.remove(target)
            self._handles[target] = self._handles.pop(source)
        return True

    def close(self) -> None:
        """Close all."""
        for number in list(self._handles):
            self.remove(number)


def _roots(authority: Authority) -> list[str]:
    """Return the directories that are open from the start: what is before the first wildcard."""
    roots = {
        root
        for one in authority.permissions
        if one.domain == "fs" and (root := _root(one)) is not None
    }
    return sorted(roots)


def _open_root(path: str, *, follows_links: bool) -> int | None:
    """Open a directory of the host, or return None where none can be opened."""
    if follows_links:
        try:
            return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return None
    try:
        return _walk_to(path)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:  # a symbolic link
            return None
        raise


def _walk_to(path: str) -> int:
    """Open a directory from `/` on, a name at a time, none of which may be a link."""
    descriptor = os.open("/", _PASS)
    try:
        for name in [*path.split("/"), "."]:
            if name:
                inner = os.open(name, _DIRECTORY if name == "." else _PASS, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = inner
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _root(permission: Permission) -> str | None:
    if not permission.resource.startswith("/"):
        return None
    segments = permission.resource.split("/")[1:]
    plain: list[str] = []
    for segment in segments:
        if "*" in segment:
            break
        plain.append(unquote(segment, errors="surrogateescape"))
    if len(plain) == len(segments):
        plain.pop()
    return "/" + "/".join(plain)


def parts_of(path: bytes) -> tuple[list[str], bool]:
    """Split a guest's path, and say whether it ends in `/`.

    Raises:
        OSError: It is empty, absolute, leaves its directory, or is spelt in a strange way.
    """
    if not path:
        raise OSError(errno.ENOENT, "empty")
    if len(path) > _LONGEST_PATH:
        raise OSError(errno.ENAMETOOLONG, "long")
    if path.startswith(b"/"):
        raise PermissionError(errno.EPERM, "absolute")
    try:
        text = path.decode()
    except UnicodeDecodeError:
        raise OSError(errno.EILSEQ, "not UTF-8") from None
    slash = text.endswith("/")
    segments = text.removesuffix("/").split("/")
    if "" in segments or "\0" in text:
        raise OSError(errno.EINVAL, "strange")
    parts: list[str] = []
    for segment in segments:
        if segment == "..":
            # By name, as no link is ever followed: `a/..` is where it looks to be.
            if not parts:
                raise PermissionError(errno.EPERM, "outside")
            parts.pop()
        elif segment != ".":
            parts.append(segment)
    return parts, slash


def full_name(base: Handle, parts: list[str]) -> str:
    """Return the name under which the authority is asked."""
    return "/".join([base.path.rstrip("/"), *parts]) or "/"


@contextmanager
def parent_of(base: Handle, parts: list[str]) -> Generator[int]:
    """Walk to the directory that holds the last part, and lend its descriptor.

    Raises:
        OSError: A part is no directory, or a symbolic link.
    """
    descriptor = os.dup(base.descriptor)
    try:
        for part in parts[:-1]:
            inner = os.open(part, _DIRECTORY, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)


def open_directory(base: Handle, parts: list[str]) -> Handle:
    """Open a directory beneath another.

    Raises:
        OSError: It is none, or there is a symbolic link on the way.
    """
    with parent_of(base, parts) as parent:
        descriptor = os.open(parts[-1] if parts else ".", _DIRECTORY, dir_fd=parent)
    return Handle(descriptor, full_name(base, parts), is_directory=True)


def open_file(base: Handle, parts: list[str], flags: int, *, truncate: bool) -> Handle:
    """Open a regular file that has one name.

    Raises:
        OSError: It is something else, or there is a symbolic link on the way.
    """
    with parent_of(base, parts) as parent:
        _refuse_special(parts[-1], parent)
        descriptor = os.open(parts[-1], flags | _FILE, 0o644, dir_fd=parent)
    try:
        _check_regular(os.fstat(descriptor))
        if truncate:
            os.ftruncate(descriptor, 0)
    except BaseException:
        os.close(descriptor)
        raise
    mode = flags & os.O_ACCMODE
    return Handle(
        descriptor,
        full_name(base, parts),
        is_directory=False,
        readable=mode != os.O_WRONLY,
        writable=mode != os.O_RDONLY,
        appends=bool(flags & os.O_APPEND),
    )


def _refuse_special(name: str, parent: int) -> None:
    # Before opening, because opening some devices does something; and again after it.
    try:
        found = os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return
    if stat.S_ISLNK(found.st_mode):
        raise OSError(errno.ELOOP, "a symbolic link")
    _check_regular(found)


def _check_regular(found: os.stat_result) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, "a directory")
    if not stat.S_ISREG(found.st_mode):
        raise PermissionError(errno.EPERM, "no regular file")
    if found.st_nlink > 1:
        raise PermissionError(errno.EPERM, "has another name")
