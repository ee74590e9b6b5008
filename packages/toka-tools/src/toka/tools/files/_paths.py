"""Paths: what one really leads to, whether that is granted, and opening exactly that.

Rules of this file:

1. A path is resolved once, links and `..` included, into the *real path*, on which alone grants are
   decided. A text comparison of what the caller wrote decides nothing.
2. The real path is then opened component by component, each relative to the one before and none
   allowed to be a link. A link that was swapped in after the decision is found there and refused;
   no moment exists in which a swap leads elsewhere.
3. A file is looked at before it is opened, so that no device or pipe is ever opened.

What this cannot see: a hard link inside a granted directory is that file, whatever other names it
has. Therefore existing files are replaced, never written into, unless they have one name only.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from toka.capability.core import PermissionSyntaxError, Request, quote_resource
from toka.tools._errors import (
    FileAccessError,
    FileMissingError,
    PathChangedError,
    PathDeniedError,
    WrongFileTypeError,
)

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from toka.tools._context import ToolContext, Workspace

MAX_PATH_BYTES: Final = 4_095

# The contents of these are not files but the state of processes and of the kernel, this process's
# environment and memory among them.
_NOT_FILES: Final = ("/proc", "/sys")

# With O_PATH a directory can be passed through without the right to list it.
_PASS: Final = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | getattr(os, "O_PATH", 0)
_FILE: Final = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK


def resolve(path: str, workspace: Workspace) -> str:
    """Return the absolute path, free of links and `..`, that `path` leads to.

    What does not exist yet is kept as it stands. `~` has no meaning.

    Raises:
        PathDeniedError: The path has a form that is never accepted, or leads to a protected place.
        FileAccessError: A link on the way changed meanwhile.
    """
    if not path or "\0" in path:
        raise PathDeniedError(f"{path[:80]!r} is not a path.", hint="Pass a path without NUL.")
    try:
        size = len(path.encode())
    except UnicodeEncodeError as error:
        raise PathDeniedError("The path is not valid Unicode.") from error
    if size > MAX_PATH_BYTES:
        raise PathDeniedError(f"The path {path[:40]!r}... is longer than {MAX_PATH_BYTES} bytes.")
    real = _real_path(f"{workspace.root}/{path}" if path[0] != "/" else path)
    for place in (*_NOT_FILES, *_real_places(workspace.protected)):
        if real == place or real.startswith(place.rstrip("/") + "/"):
            raise PathDeniedError(
                f"{real} is in {place}, which no file tool touches.", details={"path": real}
            )
    return real


def _real_path(path: str) -> str:
    try:
        # POSIX lets two slashes at the beginning mean something else; here they mean one.
        return "/" + os.path.realpath(path).lstrip("/")
    except OSError as error:  # A link that vanished between being seen and being read.
        raise system_error(error, path) from error


@lru_cache(maxsize=64)
def _real_places(places: tuple[Path, ...]) -> tuple[str, ...]:
    return tuple([os.path.realpath(place) for place in places])


def file_request(action: str, real: str) -> str:
    """Return the permission request for an action on a real path.

    Raises:
        PathDeniedError: No permission can name this path.
    """
    try:
        return Request.parse(f"fs:{action}:{quote_resource(real)}").text
    except PermissionSyntaxError as error:
        raise PathDeniedError(
            f"No permission can name {real[:80]!r}: {error.message}", details={"path": real}
        ) from error


def path_request(action: str, path: str, workspace: Workspace) -> str:
    """Return the permission request for an action, such as `read`, on what `path` leads to.

    Raises:
        PathDeniedError: The path has a form that is never accepted, or is protected.
    """
    return file_request(action, resolve(path, workspace))


def demand(action: str, real: str, context: ToolContext) -> None:
    """Check at the point of use that the grant covers an action on a real path.

    Raises:
        PathDeniedError: It does not.
    """
    request = file_request(action, real)
    if not context.granted.covers(request):
        raise PathDeniedError(
            f"{real} is outside what is granted.",
            hint=f"The call needs {request}.",
            details={"path": real, "request": request},
        )


@contextmanager
def open_parent(real: str, *, create: bool = False) -> Generator[tuple[int, str]]:
    """Open the directory that holds a real path; yield it and the last name, of `/` a dot.

    Raises:
        FileAccessError: A component is missing, is no directory, or is a link by now.
    """
    head, name = os.path.split(real)
    descriptor = _walk(head, create=create)
    try:
        yield descriptor, name or "."
    finally:
        os.close(descriptor)


@contextmanager
def open_directory(real: str) -> Generator[int]:
    """Open the directory at a real path for listing.

    Raises:
        FileAccessError: It is missing, is no directory, or is a link by now.
    """
    if real == "/":
        descriptor = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    else:
        with open_parent(real) as (parent, name):
            descriptor = open_child_directory(parent, name, real)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def open_child_directory(parent: int, name: str, real: str) -> int:
    """Open a directory for listing relative to its parent, if it is no link.

    Raises:
        FileAccessError: It is missing, is no directory, is a link by now, or may not be read.
    """
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(name, flags, dir_fd=parent)
    except OSError as error:
        raise _explain(error, parent, name, real) from error


def _walk(real: str, *, create: bool) -> int:
    descriptor = os.open("/", _PASS)
    try:
        for name in real.split("/"):
            if name:
                inner = _enter(descriptor, name, real, create=create)
                os.close(descriptor)
                descriptor = inner
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _enter(parent: int, name: str, real: str, *, create: bool) -> int:
    try:
        return os.open(name, _PASS, dir_fd=parent)
    except FileNotFoundError as error:
        if not create:
            raise _explain(error, parent, name, real) from error
    except OSError as error:
        raise _explain(error, parent, name, real) from error
    try:
        os.mkdir(name, dir_fd=parent)
    except FileExistsError:
        pass  # Another call made it; whether it is a directory is found out by opening it.
    except OSError as error:
        raise _explain(error, parent, name, real) from error
    return _enter(parent, name, real, create=False)


def open_regular(parent: int, name: str, real: str, flags: int = os.O_RDONLY) -> int:
    """Open a regular file relative to its directory; never waits, never opens anything else.

    Raises:
        FileAccessError: It is missing, of another type, a link by now, or the system refuses.
    """
    try:
        check_regular(os.stat(name, dir_fd=parent, follow_symlinks=False), real)
        descriptor = os.open(name, flags | _FILE, dir_fd=parent)
    except OSError as error:
        raise _explain(error, parent, name, real) from error
    try:
        check_regular(os.fstat(descriptor), real)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def check_regular(status: os.stat_result, real: str) -> None:
    """Refuse what is not a regular file.

    Raises:
        PathChangedError: It is a symbolic link.
        WrongFileTypeError: It is something else.
    """
    if stat.S_ISLNK(status.st_mode):
        raise _changed(real)
    if not stat.S_ISREG(status.st_mode):
        raise WrongFileTypeError(
            f"{real} is a {file_type(status.st_mode)}, not a file.", details={"path": real}
        )


def file_type(mode: int) -> str:
    """Return `file`, `directory`, `link` or `other`."""
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "directory"
    return "link" if stat.S_ISLNK(mode) else "other"


def system_error(error: OSError, real: str) -> FileAccessError:
    """Return the error of this distribution for one of the operating system."""
    details = {"path": real, "errno": errno.errorcode.get(error.errno or 0, "")}
    if isinstance(error, FileNotFoundError):
        return FileMissingError(f"There is nothing at {real}.", details=details)
    if isinstance(error, (NotADirectoryError, IsADirectoryError)):
        return WrongFileTypeError(f"{real}: {error.strerror}.", details=details)
    return FileAccessError(f"{real}: {error.strerror}.", details=details)


def _explain(error: OSError, parent: int, name: str, real: str) -> FileAccessError:
    # Systems disagree on the number for "is a link" (ELOOP, ENOTDIR, EMLINK), so look.
    if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.EMLINK):
        try:
            status = os.stat(name, dir_fd=parent, follow_symlinks=False)
        except OSError as gone:
            return system_error(gone, real)
        if stat.S_ISLNK(status.st_mode):
            return _changed(real)
    return system_error(error, real)


def _changed(real: str) -> PathChangedError:
    return PathChangedError(
        f"A part of {real} became a symbolic link, or is one that leads nowhere.",
        hint="Nothing was touched.",
        details={"path": real},
    )
