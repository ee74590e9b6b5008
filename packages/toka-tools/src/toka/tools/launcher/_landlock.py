"""Landlock: what a process and all that it starts may do with files, from now on.

Kernel documentation: userspace-api/landlock.rst. A right that a kernel does not know it cannot
take away, so the version is asked first; whether the confinement is one is for the self-test of
`toka.tools.sandbox` to find.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from contextlib import suppress
from typing import TYPE_CHECKING

from ._calls import syscall

if TYPE_CHECKING:
    from collections.abc import Sequence

Look = tuple[int, int, int] | None
"""Device, number, and time of change where it matters; None for what cannot be seen."""

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION = 1
_PATH_BENEATH = 1

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REFER, TRUNCATE, _IOCTL_DEVICE = 1 << 13, 1 << 14, 1 << 15
_ALL_OF_VERSION_1 = (1 << 13) - 1
_OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | _IOCTL_DEVICE
_TCP = 0b11
_SCOPES = 0b11  # abstract sockets and signals stay within

READ = EXECUTE | READ_FILE | READ_DIR
WRITE = (_ALL_OF_VERSION_1 | _REFER | TRUNCATE) & ~(EXECUTE | READ_FILE | READ_DIR)


def version() -> int:
    """Return the version of the kernel's Landlock; 0 where there is none."""
    try:
        return syscall(_CREATE_RULESET, 0, 0, _VERSION)
    except OSError:
        return 0


def restrict(readable: Sequence[str], writable: Sequence[str], *, network: bool) -> None:
    """Confine this process for ever.

    Args:
        readable: What may be read and run: with a slash at the end a directory and all below it,
            else a file. What is not there is passed over.
        writable: What may be changed, likewise.
        network: Whether TCP may be used.

    Raises:
        OSError: The kernel has no Landlock, or refuses.
    """
    known = version()
    rights = _ALL_OF_VERSION_1
    rights |= (_REFER if known >= 2 else 0) | (TRUNCATE if known >= 3 else 0)  # noqa: PLR2004
    rights |= _IOCTL_DEVICE if known >= 5 else 0  # noqa: PLR2004 - versions that brought them
    ruleset = _ruleset(known, rights, network=network)
    allowed = dict.fromkeys(readable, READ & rights)
    for path in writable:
        allowed[path] = allowed.get(path, 0) | WRITE & rights
    for path, given in allowed.items():
        _allow(ruleset, path, given)
    syscall(_RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)


def look(readable: Sequence[str], writable: Sequence[str]) -> list[Look]:
    """Return what paths lead to, to be compared with another look: rules are for that alone.

    A number of a file is given again once the file is gone. To read a directory proves that there
    is a rule for this very one; of anything else, the time of its last change tells.
    """
    looks = [_look(path, opens=path.endswith("/")) for path in readable]
    known = set(readable)
    return looks + [_look(path, opens=False) for path in writable if path not in known]


def _look(path: str, *, opens: bool) -> Look:
    if opens:
        with suppress(OSError):
            return _open(path)
    try:
        seen = os.stat(path)  # noqa: PTH116 - see _tree
    except OSError:
        return None
    return seen.st_dev, seen.st_ino, seen.st_ctime_ns


def _open(path: str) -> Look:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        seen = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    return seen.st_dev, seen.st_ino, 0


def _ruleset(known: int, rights: int, *, network: bool) -> int:
    fields = [rights]
    if known >= 4:  # noqa: PLR2004 - the version that brought TCP
        fields.append(0 if network else _TCP)
    if known >= 6:  # noqa: PLR2004 - the version that brought scopes
        fields.append(_SCOPES)
    data = ctypes.create_string_buffer(struct.pack(f"={len(fields)}Q", *fields))
    return syscall(_CREATE_RULESET, ctypes.addressof(data), 8 * len(fields), 0)


def _allow(ruleset: int, path: str, rights: int) -> None:
    # With a slash at its end only a directory is opened; a file needs a look, for a rule for a
    # directory would open everything below.
    as_directory = path.endswith("/")
    flags = os.O_PATH | os.O_CLOEXEC | (os.O_DIRECTORY if as_directory else 0)
    try:
        descriptor = os.open(path, flags)
    except (FileNotFoundError, NotADirectoryError):
        return
    try:
        if not as_directory:
            if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                return
            rights &= _OF_FILES
        data = ctypes.create_string_buffer(struct.pack("=Qi", rights, descriptor))
        syscall(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.addressof(data), 0)
    finally:
        os.close(descriptor)
