"""Giving a file another content: it is the old one or the new one, also after a crash."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress

from toka.tools.files._paths import check_regular, system_error


def replace_file(parent: int, name: str, real: str, data: bytes, key: str) -> bool:
    """Replace a file of one name, or make it; return whether it was made.

    Args:
        parent: The directory, as `open_parent` lends it.
        name: The file's name in it.
        real: Its path, for errors.
        data: The new content.
        key: The idempotency key of the call.

    Raises:
        FileAccessError: The system refuses, or it is no regular file; nothing has changed.
    """
    mode = _mode_to_keep(parent, name, real)
    temporary = _temporary_name(name, key)
    try:
        _fill(parent, temporary, data, mode)
        os.replace(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
        sync_directory(parent)
    except OSError as error:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=parent)
        raise system_error(error, real) from error
    return mode is None


def _mode_to_keep(parent: int, name: str, real: str) -> int | None:
    """Return who may do what with the file that is there, or None."""
    try:
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise system_error(error, real) from error
    check_regular(status, real)
    return status.st_mode & 0o777


def _temporary_name(name: str, key: str) -> str:
    # From the key, so that the retry after a crash takes away what the crash left behind.
    tag = hashlib.blake2b(f"{key}\0{name}".encode(), digest_size=8).hexdigest()
    return f".toka-{tag}.tmp"


def _fill(parent: int, temporary: str, data: bytes, mode: int | None) -> None:
    with suppress(FileNotFoundError):
        os.unlink(temporary, dir_fd=parent)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    # Not even for a moment may more people read it than the file that it replaces.
    descriptor = os.open(temporary, flags, 0o666 if mode is None else 0o600, dir_fd=parent)
    try:
        write_all(descriptor, data)
        if mode is not None:
            os.fchmod(descriptor, mode)
        # Before the rename: a name must never lead to content that is not on disk.
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, data: bytes) -> None:
    """Write, however many calls that takes."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def sync_directory(parent: int) -> None:
    """Put the rename on disk; `parent` may be a descriptor that only passes through."""
    descriptor = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=parent)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
