"""WASI 0.2, `wasi:filesystem`: files beneath directories that are given.

Its functions are linked for everybody: without a grant there is no directory to begin from, and
what is not granted beneath one is refused at each use. (Compilers link them into every program.)
Specification: WebAssembly/wasi-filesystem, wit/types.wit and wit/preopens.wit, 0.2.
"""

from __future__ import annotations

import errno
import os
import stat
from functools import wraps
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, Never

import attrs

from toka.cvm._errors import GuestTrapError
from toka.cvm._files import Handle, full_name, open_directory, open_file, parent_of, parts_of
from toka.cvm.components._host import Interface, WitError
from toka.cvm.components._types import (
    BOOL,
    BORROW,
    BYTES,
    OWN,
    STRING,
    U64,
    enum,
    flags,
    list_of,
    option,
    record,
    result,
    tuple_of,
    variant,
)
from toka.cvm.components._wasi_cli import DATETIME
from toka.cvm.components._wasi_io import InputStream, OutputStream, StreamError
from toka.types import NANOSECONDS

if TYPE_CHECKING:
    from toka.cvm._session import Session
    from toka.cvm.components._host import Body

TYPES: Final = Interface("wasi:filesystem/types@0.2", "descriptor", "directory-entry-stream")
PREOPENS: Final = Interface("wasi:filesystem/preopens@0.2")

CODES: Final = enum(
    *("access", "would-block", "already", "bad-descriptor", "busy", "deadlock", "quota", "exist"),
    *("file-too-large", "illegal-byte-sequence", "in-progress", "interrupted", "invalid", "io"),
    *("is-directory", "loop", "too-many-links", "message-size", "name-too-long", "no-device"),
    *("no-entry", "no-lock", "insufficient-memory", "insufficient-space", "not-directory"),
    *("not-empty", "not-recoverable", "unsupported", "no-tty", "no-such-device", "overflow"),
    *("not-permitted", "pipe", "read-only", "invalid-seek", "text-file-busy", "cross-device"),
)
_BY_ERRNO: Final = {
    errno.EACCES: "access",
    errno.EBUSY: "busy",
    errno.EEXIST: "exist",
    errno.EFBIG: "file-too-large",
    errno.EILSEQ: "illegal-byte-sequence",
    errno.EINVAL: "invalid",
    errno.EISDIR: "is-directory",
    errno.ELOOP: "loop",
    errno.ENAMETOOLONG: "name-too-long",
    errno.ENOENT: "no-entry",
    errno.ENOSPC: "insufficient-space",
    errno.ENOTDIR: "not-directory",
    errno.ENOTEMPTY: "not-empty",
    errno.EPERM: "not-permitted",
    errno.EROFS: "read-only",
    errno.EXDEV: "cross-device",
}

TYPE: Final = enum(
    *("unknown", "block-device", "character-device", "directory"),
    *("fifo", "symbolic-link", "regular-file", "socket"),
)
_FLAGS: Final = flags(
    *("read", "write", "file-integrity-sync", "data-integrity-sync"),
    *("requested-write-sync", "mutate-directory"),
)
_PATH_FLAGS: Final = flags("symlink-follow")
_OPEN_FLAGS: Final = flags("create", "directory", "exclusive", "truncate")
_TIME: Final = option(DATETIME)
_STAT: Final = record(
    type=TYPE,
    link_count=U64,
    size=U64,
    data_access_timestamp=_TIME,
    data_modification_timestamp=_TIME,
    status_change_timestamp=_TIME,
)
NEW_TIME: Final = variant(no_change=None, now=None, timestamp=DATETIME)
_ADVICE: Final = enum("normal", "sequential", "random", "will-need", "dont-need", "no-reuse")
_HASH: Final = record(lower=U64, upper=U64)
NOTHING: Final = result(None, CODES)
AT: Final = (BORROW, _PATH_FLAGS, STRING)


@attrs.define(eq=False)
class FilePlace:
    """A place in a file, with a descriptor of its own: the guest may drop the file before it."""

    descriptor: int
    offset: int

    def read(self, _session: Session, size: int, /) -> bytes:
        """Return the next bytes, none at the end."""
        try:
            data = os.pread(self.descriptor, size, self.offset)
        except OSError as error:
            raise StreamError(_code(error)).to_stream() from None
        self.offset += len(data)
        return data

    def write(self, _session: Session, data: bytes, /) -> None:
        """Write all of it."""
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._put(rest) :]
        except OSError as error:
            raise StreamError(_code(error)).to_stream() from None

    def _put(self, data: memoryview) -> int:
        written = os.pwrite(self.descriptor, data, self.offset)
        self.offset += written
        return written

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self.descriptor)


def _code(error: OSError) -> str:
    return _BY_ERRNO.get(error.errno or 0, "io")


def refuse(code: str) -> Never:
    """Answer with a code."""
    raise WitError(code)


def answering(body: Body) -> Body:
    """Let a host function answer with the code of an `OSError`; its text stays here."""

    @wraps(body)
    def answer(session: Session, *arguments: object) -> object:
        try:
            return body(session, *arguments)
        except OSError as error:
            raise WitError(_code(error)) from None

    return answer


def _handle(value: object) -> Handle:
    if isinstance(value, Handle):
        return value
    raise GuestTrapError.of("bad_handle")


def directory_of(value: object) -> Handle:
    """Return the directory behind a guest's handle."""
    handle = _handle(value)
    return handle if handle.is_directory else refuse("not-directory")


def _file(value: object, *, writes: bool) -> Handle:
    handle = _handle(value)
    if handle.is_directory:
        refuse("is-directory")
    if not (handle.writable if writes else handle.readable):
        refuse("bad-descriptor")
    return handle


def parts_in(handle: Handle, path: str) -> tuple[list[str], bool, str]:
    """Split a guest's path; return also whether it ends in `/`, and its full name."""
    parts, slash = parts_of(path.encode())
    return parts, slash, full_name(handle, parts)


def need(session: Session, path: str, *actions: str) -> None:
    """Refuse what is not granted."""
    if not all(session.allows("fs", action, path) for action in actions):
        refuse("not-permitted")


def _need_one(session: Session, path: str) -> None:
    if not session.authority.allows("fs", "write", path):
        need(session, path, "read")


# --- Where a guest begins, and opening ---


@PREOPENS.add("get-directories", returns=list_of(tuple_of(OWN, STRING)))
def get_directories(session: Session) -> list[tuple[Handle, str]]:
    files = session.files
    found = [] if files is None else files.preopened()
    return [(attrs.evolve(one, descriptor=os.dup(one.descriptor)), one.path) for one in found]


@TYPES.add("[method]descriptor.open-at", *AT, _OPEN_FLAGS, _FLAGS, returns=result(OWN, CODES))
@answering
def open_at(
    session: Session,
    base: object,
    _lookup: frozenset[str],
    path: str,
    how: frozenset[str],
    rights: frozenset[str],
) -> Handle:
    directory = directory_of(base)
    parts, slash, name = parts_in(directory, path)
    writes = "write" in rights or bool(how & {"create", "truncate"})
    if "directory" in how or slash or not parts or is_directory(directory, parts):
        # A handle on a directory opens nothing by itself: each path beneath is asked about again.
        if writes:
            refuse("is-directory")
        return open_directory(directory, parts)
    reads = "read" in rights or not writes
    wanted = (*(("read",) if reads else ()), *(("write",) if writes else ()))
    need(session, name, *wanted)
    mode = (os.O_RDWR if reads else os.O_WRONLY) if writes else os.O_RDONLY
    mode |= os.O_CREAT if "create" in how else 0
    mode |= os.O_EXCL if "exclusive" in how else 0
    return open_file(directory, parts, mode, truncate="truncate" in how)


def is_directory(base: Handle, parts: list[str]) -> bool:
    """Say whether a path leads to a directory."""
    try:
        open_directory(base, parts).close()
    except OSError:
        return False
    return True


# --- A file that is open ---


@TYPES.add("[method]descriptor.read-via-stream", BORROW, U64, returns=result(OWN, CODES))
@answering
def read_via_stream(_session: Session, file: object, offset: int) -> InputStream:
    handle = _file(file, writes=False)
    return InputStream(FilePlace(os.dup(handle.descriptor), _offset(offset)))


@TYPES.add("[method]descriptor.write-via-stream", BORROW, U64, returns=result(OWN, CODES))
@answering
def write_via_stream(_session: Session, file: object, offset: int) -> OutputStream:
    handle = _file(file, writes=True)
    return OutputStream(FilePlace(os.dup(handle.descriptor), _offset(offset)))


@TYPES.add("[method]descriptor.append-via-stream", BORROW, returns=result(OWN, CODES))
@answering
def append_via_stream(_session: Session, file: object) -> OutputStream:
    handle = _file(file, writes=True)
    # The end as it is now: of two who append at once, here one writes over the other.
    end = os.fstat(handle.descriptor).st_size
    return OutputStream(FilePlace(os.dup(handle.descriptor), end))


def _offset(offset: int) -> int:
    return offset if offset < 1 << 63 else refuse("invalid")


@TYPES.add(
    "[method]descriptor.read", BORROW, U64, U64, returns=result(tuple_of(BYTES, BOOL), CODES)
)
@answering
def read(session: Session, file: object, size: int, offset: int) -> tuple[bytes, bool]:
    handle = _file(file, writes=False)
    wanted = min(size, session.limits.transfer_bytes)
    data = os.pread(handle.descriptor, wanted, _offset(offset))
    return data, len(data) < wanted


@TYPES.add("[method]descriptor.write", BORROW, BYTES, U64, returns=result(U64, CODES))
@answering
def write(_session: Session, file: object, data: bytes, offset: int) -> int:
    return os.pwrite(_file(file, writes=True).descriptor, data, _offset(offset))


@TYPES.add("[method]descriptor.set-size", BORROW, U64, returns=NOTHING)
@answering
def set_size(session: Session, file: object, size: int) -> None:
    handle = _file(file, writes=True)
    if size > session.limits.io_bytes:
        refuse("file-too-large")
    os.ftruncate(handle.descriptor, size)


@TYPES.add("[method]descriptor.sync", BORROW, returns=NOTHING)
@answering
def sync(_session: Session, file: object) -> None:
    os.fsync(_handle(file).descriptor)


@TYPES.add("[method]descriptor.sync-data", BORROW, returns=NOTHING)
@answering
def sync_data(_session: Session, file: object) -> None:
    os.fsync(_handle(file).descriptor)


@TYPES.add("[method]descriptor.advise", BORROW, U64, U64, _ADVICE, returns=NOTHING)
def advise(_session: Session, file: object, _offset: int, _size: int, _advice: str) -> None:
    _handle(file)


@TYPES.add("[method]descriptor.get-flags", BORROW, returns=result(_FLAGS, CODES))
def get_flags(_session: Session, file: object) -> frozenset[str]:
    handle = _handle(file)
    if handle.is_directory:
        return frozenset({"read", "mutate-directory"})
    given = {"read": handle.readable, "write": handle.writable}
    return frozenset([name for name, has in given.items() if has])


@TYPES.add("[method]descriptor.get-type", BORROW, returns=result(TYPE, CODES))
def get_type(_session: Session, file: object) -> str:
    return "directory" if _handle(file).is_directory else "regular-file"


# --- What is known of a file ---


def _type_of(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "directory"
    if stat.S_ISREG(mode):
        return "regular-file"
    return "symbolic-link" if stat.S_ISLNK(mode) else "unknown"


def _stat(session: Session, found: os.stat_result) -> dict[str, object]:
    times = (found.st_atime_ns, found.st_mtime_ns, found.st_ctime_ns)
    names = ("data-access-timestamp", "data-modification-timestamp", "status-change-timestamp")
    # What another machine's disk would tell otherwise is not told where answers are to be the same.
    told = [None if session.deterministic else _datetime(max(one, 0)) for one in times]
    kind = _type_of(found.st_mode)
    size = {"type": kind, "link-count": found.st_nlink, "size": found.st_size}
    return {**size, **dict(zip(names, told, strict=True))}


def _datetime(nanoseconds: int) -> dict[str, int]:
    seconds, rest = divmod(nanoseconds, NANOSECONDS)
    return {"seconds": seconds, "nanoseconds": rest}


def _found_at(session: Session, base: object, path: str) -> os.stat_result:
    directory = directory_of(base)
    parts, _, name = parts_in(directory, path)
    _need_one(session, name)
    if not parts:
        return os.fstat(directory.descriptor)
    with parent_of(directory, parts) as parent:
        return os.stat(parts[-1], dir_fd=parent, follow_symlinks=False)


@TYPES.add("[method]descriptor.stat", BORROW, returns=result(_STAT, CODES))
@answering
def stat_of(session: Session, file: object) -> dict[str, object]:
    return _stat(session, os.fstat(_handle(file).descriptor))


@TYPES.add("[method]descriptor.stat-at", *AT, returns=result(_STAT, CODES))
@answering
def stat_at(
    session: Session, base: object, _lookup: frozenset[str], path: str
) -> dict[str, object]:
    return _stat(session, _found_at(session, base, path))


@TYPES.add("[method]descriptor.is-same-object", BORROW, BORROW, returns=BOOL)
def is_same_object(_session: Session, file: object, other: object) -> bool:
    one, two = (os.fstat(_handle(each).descriptor) for each in (file, other))
    return (one.st_dev, one.st_ino) == (two.st_dev, two.st_ino)


def _hash(session: Session, found: os.stat_result) -> dict[str, int]:
    facts = (found.st_dev, found.st_ino, found.st_mtime_ns) if not session.deterministic else ()
    whole = blake2b(repr((*facts, found.st_size)).encode(), digest_size=16).digest()
    return {
        "lower": int.from_bytes(whole[:8], "little"),
        "upper": int.from_bytes(whole[8:], "little"),
    }


@TYPES.add("[method]descriptor.metadata-hash", BORROW, returns=result(_HASH, CODES))
@answering
def metadata_hash(session: Session, file: object) -> dict[str, int]:
    return _hash(session, os.fstat(_handle(file).descriptor))


@TYPES.add("[method]descriptor.metadata-hash-at", *AT, returns=result(_HASH, CODES))
@answering
def metadata_hash_at(
    session: Session, base: object, _lookup: frozenset[str], path: str
) -> dict[str, int]:
    return _hash(session, _found_at(session, base, path))


@TYPES.add("filesystem-error-code", BORROW, returns=option(CODES))
def filesystem_error_code(_session: Session, error: object) -> str | None:
    return error.code if isinstance(error, StreamError) else None
