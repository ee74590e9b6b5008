"""Files: reading them, and putting a new text in their place so that no reader sees half of one.

A change takes the lock of the folder, because it is the folder that a rename changes; the lock is
the kernel's and leaves no file behind. Who does not know the lock is noticed: the file must still
be the one that was read when the new one takes its place.
"""

from __future__ import annotations

import contextlib
import glob
import os
import stat
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from toka.config_cli._document import FORMATS
from toka.config_cli._refuse import refuse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator

MAX_BYTES = 64 * 1024 * 1024
"""Size of the largest file that is read."""
_POLL = 0.02
_SUFFIX = ".toka-config"
"""Ends the name of a file that is not whole yet."""


class Snapshot(NamedTuple):
    """A file as it was read."""

    path: Path
    """The file itself, where a symbolic link was named."""
    text: str
    status: os.stat_result


def check_path(path: Path, *, allow_parent: bool) -> None:
    """Refuse a path that leaves its folder upwards, as the original did.

    Raises:
        UsageError: It holds `..`.
    """
    if ".." in path.parts and not allow_parent:
        refuse("UsageError", f"The path {path} holds '..'.", "Give --allow-parent if it is meant.")


def format_of(path: Path) -> str:
    """Return yaml, json or toml, by the end of a name.

    Raises:
        FileUnusable: It is none of them.
    """
    found = FORMATS.get(path.suffix.lower())
    if found is None:
        what = f"The name {path.name} ends in none of {', '.join(FORMATS)}."
        refuse("FileUnusable", what, "Rename it; the end says the format.")
    return found


def read(path: Path) -> Snapshot:
    """Read a file of UTF-8.

    Raises:
        FileUnusable: It is missing, no regular file, too large, unreadable, or not UTF-8.
    """
    try:
        real = path.resolve(strict=True)
        with open(real, "rb", opener=_without_waiting) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                refuse("FileUnusable", f"{path} is no regular file.", "Name a file.")
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        hint = f"Make it: toka-config create {path}"
        refuse("FileUnusable", f"There is no file {path}.", hint)
    except OSError as error:
        refuse("FileUnusable", f"{path} cannot be read: {error.strerror}.", "Check permissions.")
    if len(data) > MAX_BYTES:
        refuse("FileUnusable", f"{path} has more than {MAX_BYTES:,} bytes.", "Split it.")
    try:
        return Snapshot(real, data.decode(), status)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        what = f"{path}: line {line} holds byte 0x{data[error.start]:02X}, which is not UTF-8."
        refuse("FileUnusable", what, "Save it as UTF-8.")


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a pipe keeps nobody waiting


@contextlib.contextmanager
def locked(folder: Path, timeout: float) -> Generator[None]:
    """Hold the lock of a folder.

    Raises:
        FileLocked: Another process held it for longer than `timeout` seconds.
        FileUnusable: The folder cannot be opened.
    """
    import fcntl  # noqa: PLC0415 - only who writes needs it

    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        refuse("FileUnusable", f"The folder {folder} cannot be opened: {error.strerror}.")
    try:
        end = time.monotonic() + timeout
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= end:
                    what = f"Another edit has held the folder {folder} for {timeout:g} s."
                    refuse("FileLocked", what, "Wait for it, or give --lock-timeout.")
                time.sleep(_POLL)
        yield
    finally:
        os.close(handle)


def replace(snapshot: Snapshot, text: str) -> None:
    """Put a text in the place of a file that was read; mode, owner and attributes stay.

    Raises:
        FileLocked: The file is not the one that was read any more.
        FileUnusable: The folder or the disk refuses, or the owner could not be kept.
    """
    path, old = snapshot.path, snapshot.status

    def finish(handle: int) -> None:
        made = os.fstat(handle)
        if (made.st_uid, made.st_gid) != (old.st_uid, old.st_gid):
            os.fchown(handle, old.st_uid, old.st_gid)
        os.fchmod(handle, stat.S_IMODE(old.st_mode))
        _copy_attributes(path, handle)

    with _written(path, text, finish) as temporary:
        now = path.stat()
        if _identity(now) != _identity(old):
            what = f"{path} was changed by somebody else meanwhile."
            refuse("FileLocked", what, "Nothing was written; run it again.")
        temporary.replace(path)


def create(path: Path, text: str) -> None:
    """Write a file that is not there yet.

    Raises:
        FileUnusable: It is there, or cannot be written.
    """
    if not path.parent.is_dir():
        refuse("FileUnusable", f"There is no folder {path.parent}.", "Make it first.")

    def finish(handle: int) -> None:
        umask = os.umask(0)
        os.umask(umask)
        os.fchmod(handle, 0o666 & ~umask)

    with _written(path, text, finish) as temporary:
        try:
            # A link, unlike a rename, never replaces what is there.
            path.hardlink_to(temporary)
        except FileExistsError:
            refuse("FileUnusable", f"{path} is there already.", "Change it with set or edit.")


@contextlib.contextmanager
def _written(path: Path, text: str, finish: Callable[[int], None]) -> Generator[Path]:
    """Give a temporary file beside `path` that is on disk, and make its new name last."""
    temporary: Path | None = None
    try:
        prefix = f".{path.name[:100]}."
        _remove_left_over(path.parent, prefix)
        handle, name = tempfile.mkstemp(prefix=prefix, suffix=_SUFFIX, dir=path.parent)
        temporary = Path(name)
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode())
            file.flush()
            finish(file.fileno())
            os.fsync(file.fileno())
        yield temporary
        _sync_folder(path.parent)
    except OSError as error:
        what = f"{path} cannot be written: {error.strerror}."
        refuse("FileUnusable", what, "Nothing was changed; check owner, permissions and space.")
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _remove_left_over(folder: Path, prefix: str) -> None:
    """Remove what a killed edit left: who holds the lock knows that nobody is writing it."""
    for path in folder.glob(f"{glob.escape(prefix)}*{_SUFFIX}"):
        path.unlink(missing_ok=True)


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _copy_attributes(path: Path, handle: int) -> None:
    """Carry extended attributes over, access control lists among them, where the system has any."""
    if not hasattr(os, "listxattr"):
        return
    for name in os.listxattr(path):
        os.setxattr(handle, name, os.getxattr(path, name))


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
