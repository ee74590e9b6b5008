"""WASI preview 1: everything that takes a path. Each use of a path is asked of the authority."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from toka.cvm._files import Handle, full_name, open_directory, open_file, parent_of, parts_of
from toka.cvm._host_function import Grant
from toka.cvm._wasi import TABLE, WRITE, handle_of, write_filestat
from toka.cvm._wasi_errors import BADF, INVAL, ISDIR, NOTCAPABLE, NOTDIR, NOTSUP, SUCCESS, answering

if TYPE_CHECKING:
    from toka.cvm._session import Session

PREVIEW1: Final = TABLE
"""All of WASI preview 1, after this module was read."""

_FILES: Final = Grant("fs", ("read", "write"), "fs:read:/directory/**")
_CREATE, _DIRECTORY, _EXCLUSIVE, _TRUNCATE = 1, 2, 4, 8
_APPEND: Final = 1
_RIGHT_READ: Final = 1 << 1
_RIGHT_WRITE: Final = 1 << 6
_FOLLOW: Final = 1


def _base(session: Session, number: int) -> Handle:
    handle = handle_of(session, number)
    if handle is None or not handle.is_directory:
        raise NotADirectoryError
    return handle


def _allowed(session: Session, actions: tuple[str, ...], path: str) -> bool:
    return all(session.allows("fs", action, path) for action in actions)


@TABLE.add("iiiiiIIii", grant=_FILES)
@answering
def path_open(
    session: Session,
    number: int,
    _lookup: int,
    path: int,
    size: int,
    flags: int,
    rights: int,
    _inheriting: int,
    status: int,
    result: int,
) -> int:
    base = handle_of(session, number)
    files = session.files
    if base is None or files is None:
        return BADF
    if not base.is_directory:
        return NOTDIR
    parts, slash = parts_of(session.read(path, size))
    writes = bool(rights & _RIGHT_WRITE or flags & (_CREATE | _TRUNCATE) or status & _APPEND)
    if flags & _DIRECTORY or slash or not parts or _is_directory(base, parts):
        if writes and (flags & (_CREATE | _TRUNCATE) or not flags & _DIRECTORY):
            return ISDIR
        return _open_directory(session, base, parts, result)
    reads = bool(rights & _RIGHT_READ) or not writes
    wanted = (*(("read",) if reads else ()), *(("write",) if writes else ()))
    if not _allowed(session, wanted, full_name(base, parts)):
        return NOTCAPABLE
    handle = open_file(
        base, parts, _host_flags(flags, status, wanted), truncate=bool(flags & _TRUNCATE)
    )
    session.write_integer(result, files.insert(handle))
    return SUCCESS


def _open_directory(session: Session, base: Handle, parts: list[str], result: int) -> int:
    # A handle on a directory opens nothing by itself: each path beneath it is asked about again.
    if session.files is None:
        return BADF
    session.write_integer(result, session.files.insert(open_directory(base, parts)))
    return SUCCESS


def _is_directory(base: Handle, parts: list[str]) -> bool:
    try:
        open_directory(base, parts).close()
    except OSError:
        return False
    return True


def _host_flags(flags: int, status: int, wanted: tuple[str, ...]) -> int:
    mode = os.O_RDWR if len(wanted) > 1 else os.O_WRONLY
    host = os.O_RDONLY if wanted == ("read",) else mode
    host |= os.O_CREAT if flags & _CREATE else 0
    host |= os.O_EXCL if flags & _EXCLUSIVE else 0
    return host | (os.O_APPEND if status & _APPEND else 0)


@TABLE.add("iiiii", grant=_FILES)
@answering
def path_filestat_get(
    session: Session, number: int, _lookup: int, path: int, size: int, result: int
) -> int:
    base = _base(session, number)
    parts, _ = parts_of(session.read(path, size))
    name = full_name(base, parts)
    if not session.authority.allows("fs", "write", name) and not session.allows("fs", "read", name):
        return NOTCAPABLE
    if not parts:
        write_filestat(session, result, os.fstat(base.descriptor))
        return SUCCESS
    with parent_of(base, parts) as parent:
        found = os.stat(parts[-1], dir_fd=parent, follow_symlinks=False)
    write_filestat(session, result, found)
    return SUCCESS


@TABLE.add("iiiiii", grant=_FILES)
@answering
def path_readlink(
    session: Session, number: int, path: int, size: int, buffer: int, room: int, result: int
) -> int:
    base = _base(session, number)
    parts, _ = parts_of(session.read(path, size))
    if not parts or not _allowed(session, ("read",), full_name(base, parts)):
        return NOTCAPABLE
    with parent_of(base, parts) as parent:
        target = os.fsencode(os.readlink(parts[-1], dir_fd=parent))[:room]
    session.write(buffer, target)
    session.write_integer(result, len(target))
    return SUCCESS


@TABLE.add("iii", grant=WRITE)
@answering
def path_create_directory(session: Session, number: int, path: int, size: int) -> int:
    base = _base(session, number)
    parts, _ = parts_of(session.read(path, size))
    if not parts or not _allowed(session, ("write",), full_name(base, parts)):
        return NOTCAPABLE
    with parent_of(base, parts) as parent:
        os.mkdir(parts[-1], 0o755, dir_fd=parent)
    return SUCCESS


@TABLE.add("iii", grant=WRITE)
@answering
def path_remove_directory(session: Session, number: int, path: int, size: int) -> int:
    base = _base(session, number)
    parts, _ = parts_of(session.read(path, size))
    if not parts or not _allowed(session, ("write",), full_name(base, parts)):
        return NOTCAPABLE
    with parent_of(base, parts) as parent:
        os.rmdir(parts[-1], dir_fd=parent)
    return SUCCESS


@TABLE.add("iii", grant=WRITE)
@answering
def path_unlink_file(session: Session, number: int, path: int, size: int) -> int:
    base = _base(session, number)
    parts, slash = parts_of(session.read(path, size))
    if not parts or slash:
        return INVAL
    if not _allowed(session, ("write",), full_name(base, parts)):
        return NOTCAPABLE
    with parent_of(base, parts) as parent:
        os.unlink(parts[-1], dir_fd=parent)
    return SUCCESS


@TABLE.add("iiiiii", grant=WRITE)
@answering
def path_rename(
    session: Session, number: int, path: int, size: int, to: int, to_path: int, to_size: int
) -> int:
    """Rename a file. Directories stay where they are: what is beneath keeps its permissions."""
    base, target = _base(session, number), _base(session, to)
    parts, _ = parts_of(session.read(path, size))
    to_parts, _ = parts_of(session.read(to_path, to_size))
    if not parts or not to_parts:
        return INVAL
    if _is_directory(base, parts):
        return NOTSUP
    # Reading, too: else what may only be written could be moved to where it may be read.
    allowed = _allowed(session, ("read", "write"), full_name(base, parts))
    if not allowed or not _allowed(session, ("write",), full_name(target, to_parts)):
        return NOTCAPABLE
    with parent_of(base, parts) as parent, parent_of(target, to_parts) as to_parent:
        os.rename(parts[-1], to_parts[-1], src_dir_fd=parent, dst_dir_fd=to_parent)
    return SUCCESS


@TABLE.add("iiiiiii", grant=WRITE)
def path_link(_session: Session, *_arguments: int) -> int:
    """Refuse: a second name would be covered by other permissions."""
    return NOTCAPABLE


@TABLE.add("iiiii", grant=WRITE)
def path_symlink(_session: Session, *_arguments: int) -> int:
    """Refuse: the host might follow it."""
    return NOTCAPABLE


@TABLE.add("iiiiIIi", grant=WRITE)
def path_filestat_set_times(_session: Session, *_arguments: int) -> int:
    """Say that it is not there."""
    return NOTSUP
