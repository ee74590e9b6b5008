"""WASI preview 1, except for paths: arguments, environment, time, randomness, handles, waiting.

Specification: WebAssembly/WASI, legacy/preview1/docs.md. Written here instead of taken from
wasmtime, because wasmtime's own costs the guest no fuel, does not see a revoked capability or a
quota, and its sleep ignores the deadline.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Final

from toka.cvm._errors import GuestExitError
from toka.cvm._host_function import Grant, Table
from toka.cvm._wasi_errors import (
    BADF,
    INVAL,
    ISDIR,
    NOTCAPABLE,
    NOTDIR,
    NOTSUP,
    SPIPE,
    SUCCESS,
    answering,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toka.cvm._files import Handle
    from toka.cvm._session import Session

TABLE: Final = Table("wasi_snapshot_preview1")

CLOCK: Final = Grant("clock", ("read",), "clock:read:time")
RANDOM: Final = Grant("random", ("read",), "random:read:bytes")
WRITE: Final = Grant("fs", ("write",), "fs:write:/directory/**")

_ALL_RIGHTS: Final = (1 << 29) - 1
_APPEND: Final = 1
_VECTOR: Final = 8
_MOST_VECTORS: Final = 1_024
_CHARACTER_DEVICE, DIRECTORY, REGULAR, LINK = 2, 3, 4, 7
_REALTIME, _MONOTONIC = 0, 1
_SUBSCRIPTION, _EVENT = 48, 32
_DIRENT: Final = 24


# --- Arguments and environment ---


def _lay_out(session: Session, pointers: int, buffer: int, texts: Sequence[bytes]) -> int:
    for text in texts:
        session.write_integer(pointers, buffer)
        session.write(buffer, text + b"\0")
        pointers, buffer = pointers + 4, buffer + len(text) + 1
    return SUCCESS


def _sizes(session: Session, count: int, size: int, texts: Sequence[bytes]) -> int:
    session.write_integer(count, len(texts))
    session.write_integer(size, sum(len(text) + 1 for text in texts))
    return SUCCESS


def _environment(session: Session) -> list[bytes]:
    return [f"{name}={value}".encode() for name, value in session.environment.items()]


@TABLE.add("ii")
def args_get(session: Session, pointers: int, buffer: int) -> int:
    return _lay_out(session, pointers, buffer, session.arguments)


@TABLE.add("ii")
def args_sizes_get(session: Session, count: int, size: int) -> int:
    return _sizes(session, count, size, session.arguments)


@TABLE.add("ii")
def environ_get(session: Session, pointers: int, buffer: int) -> int:
    return _lay_out(session, pointers, buffer, _environment(session))


@TABLE.add("ii")
def environ_sizes_get(session: Session, count: int, size: int) -> int:
    return _sizes(session, count, size, _environment(session))


# --- Time, randomness, ending ---


@TABLE.add("ii", grant=CLOCK)
def clock_res_get(session: Session, clock: int, result: int) -> int:
    if clock not in {_REALTIME, _MONOTONIC}:
        return INVAL
    session.write_integer(result, 1, 8)
    return SUCCESS


@TABLE.add("iIi", grant=CLOCK)
def clock_time_get(session: Session, clock: int, _precision: int, result: int) -> int:
    if clock not in {_REALTIME, _MONOTONIC}:
        return INVAL
    session.write_integer(result, session.now(monotonic=clock == _MONOTONIC), 8)
    return SUCCESS


@TABLE.add("ii", grant=RANDOM)
def random_get(session: Session, buffer: int, size: int) -> int:
    session.move(size)
    session.write(buffer, session.random(size))
    return SUCCESS


@TABLE.add("i", None)
def proc_exit(_session: Session, status: int) -> None:
    raise GuestExitError(
        f"The guest ended itself with status {status}.", details={"status": status}
    )


@TABLE.add("")
def sched_yield(_session: Session) -> int:
    return SUCCESS


@TABLE.add("i")
def proc_raise(_session: Session, _signal: int) -> int:
    return NOTSUP


@TABLE.add("iiii")
def poll_oneoff(session: Session, subscriptions: int, events: int, count: int, result: int) -> int:
    """Wait. Files and streams are always ready, so only clocks alone are waited for."""
    if not 0 < count <= _MOST_VECTORS:
        return INVAL
    data = session.read(subscriptions, count * _SUBSCRIPTION)
    wishes = [data[at : at + _SUBSCRIPTION] for at in range(0, len(data), _SUBSCRIPTION)]
    ready = [wish for wish in wishes if wish[8]]
    if not ready:
        waits = [(_wait(session, wish), wish) for wish in wishes]
        shortest = min(wait for wait, _ in waits)
        session.sleep(shortest)
        ready = [wish for wait, wish in waits if wait <= shortest]
    for at, wish in enumerate(ready):
        event = wish[:8] + bytes(2) + wish[8:9] + bytes(_EVENT - 11)
        session.write(events + at * _EVENT, event)
    session.write_integer(result, len(ready))
    return SUCCESS


def _wait(session: Session, wish: bytes) -> int:
    clock, timeout = int.from_bytes(wish[16:20], "little"), int.from_bytes(wish[24:32], "little")
    absolute = wish[40] & 1
    if absolute:
        timeout -= session.now(monotonic=clock == _MONOTONIC)
    return max(timeout, 0)


# --- Handles ---


def handle_of(session: Session, number: int) -> Handle | None:
    """Return what a number stands for, of those that are files."""
    return session.files.get(number) if session.files is not None else None


def _vectors(session: Session, pointer: int, count: int) -> list[tuple[int, int]]:
    data = session.read(pointer, min(count, _MOST_VECTORS) * _VECTOR)
    return [
        (
            int.from_bytes(data[at : at + 4], "little"),
            int.from_bytes(data[at + 4 : at + 8], "little"),
        )
        for at in range(0, len(data), _VECTOR)
    ]


def _gather(session: Session, pointer: int, count: int) -> bytes:
    return b"".join([session.read(*vector) for vector in _vectors(session, pointer, count)])


def _scatter(session: Session, vectors: list[tuple[int, int]], data: bytes) -> None:
    for address, size in vectors:
        if not data:
            return
        session.write(address, data[:size])
        data = data[size:]


def _room(session: Session, vectors: list[tuple[int, int]]) -> int:
    return min(sum(size for _, size in vectors), session.limits.transfer_bytes)


@TABLE.add("iiii")
@answering
def fd_write(session: Session, number: int, vectors: int, count: int, result: int) -> int:
    data = _gather(session, vectors, count)
    if number in {1, 2}:
        session.emit(session.output if number == 1 else session.error_output, data)
        written = len(data)
    else:
        handle = handle_of(session, number)
        if handle is None or not handle.writable:
            return BADF
        written = os.write(handle.descriptor, data)
    session.write_integer(result, written)
    return SUCCESS


@TABLE.add("iiii")
@answering
def fd_read(session: Session, number: int, vectors: int, count: int, result: int) -> int:
    places = _vectors(session, vectors, count)
    if number == 0:
        data = session.take_input(_room(session, places))
    else:
        handle = handle_of(session, number)
        if handle is None or not handle.readable:
            return BADF
        if handle.is_directory:
            return ISDIR
        data = os.read(handle.descriptor, _room(session, places))
    _scatter(session, places, data)
    session.write_integer(result, len(data))
    return SUCCESS


@TABLE.add("iiiIi")
@answering
def fd_pread(
    session: Session, number: int, vectors: int, count: int, offset: int, result: int
) -> int:
    handle = handle_of(session, number)
    if handle is None or handle.is_directory or not handle.readable:
        return BADF
    places = _vectors(session, vectors, count)
    data = os.pread(handle.descriptor, _room(session, places), offset)
    _scatter(session, places, data)
    session.write_integer(result, len(data))
    return SUCCESS


@TABLE.add("iiiIi", grant=WRITE)
@answering
def fd_pwrite(
    session: Session, number: int, vectors: int, count: int, offset: int, result: int
) -> int:
    handle = handle_of(session, number)
    if handle is None or not handle.writable:
        return BADF
    data = _gather(session, vectors, count)
    session.write_integer(result, os.pwrite(handle.descriptor, data, offset))
    return SUCCESS


@TABLE.add("iIii")
@answering
def fd_seek(session: Session, number: int, offset: int, whence: int, result: int) -> int:
    if number < 3:  # noqa: PLR2004 - the three streams
        return SPIPE
    handle = handle_of(session, number)
    if handle is None or handle.is_directory:
        return BADF
    if whence > 2:  # noqa: PLR2004 - set, current, end
        return INVAL
    session.write_integer(result, os.lseek(handle.descriptor, offset, whence), 8)
    return SUCCESS


@TABLE.add("ii")
@answering
def fd_tell(session: Session, number: int, result: int) -> int:
    handle = handle_of(session, number)
    if handle is None or handle.is_directory:
        return BADF
    session.write_integer(result, os.lseek(handle.descriptor, 0, os.SEEK_CUR), 8)
    return SUCCESS


@TABLE.add("i")
def fd_close(session: Session, number: int) -> int:
    if number < 3:  # noqa: PLR2004 - the three streams
        return SUCCESS
    return SUCCESS if session.files is not None and session.files.remove(number) else BADF


@TABLE.add("ii")
def fd_renumber(session: Session, source: int, target: int) -> int:
    return SUCCESS if session.files is not None and session.files.move(source, target) else BADF


@TABLE.add("i")
@answering
def fd_sync(session: Session, number: int) -> int:
    handle = handle_of(session, number)
    if handle is None:
        return BADF
    os.fsync(handle.descriptor)
    return SUCCESS


@TABLE.add("i")
def fd_datasync(session: Session, number: int) -> int:
    return fd_sync(session, number) or SUCCESS


@TABLE.add("iIIi")
def fd_advise(session: Session, number: int, _offset: int, _size: int, _advice: int) -> int:
    return SUCCESS if handle_of(session, number) is not None else BADF


@TABLE.add("iII", grant=WRITE)
def fd_allocate(_session: Session, _number: int, _offset: int, _size: int) -> int:
    return NOTSUP


@TABLE.add("iI", grant=WRITE)
@answering
def fd_filestat_set_size(session: Session, number: int, size: int) -> int:
    handle = handle_of(session, number)
    if handle is None or not handle.writable:
        return BADF
    if not 0 <= size <= session.limits.io_bytes:
        return INVAL
    os.ftruncate(handle.descriptor, size)
    return SUCCESS


@TABLE.add("iIIi", grant=WRITE)
def fd_filestat_set_times(_session: Session, _number: int, _a: int, _m: int, _flags: int) -> int:
    return NOTSUP


@TABLE.add("ii")
def fd_fdstat_get(session: Session, number: int, result: int) -> int:
    kind, flags = _CHARACTER_DEVICE, 0
    if number > 2:  # noqa: PLR2004 - the three streams
        handle = handle_of(session, number)
        if handle is None:
            return BADF
        kind = DIRECTORY if handle.is_directory else REGULAR
        flags = _APPEND if handle.appends else 0
    rights = _ALL_RIGHTS.to_bytes(8, "little") * 2
    # A stream that claims it can seek is taken for a file by C libraries.
    if kind == _CHARACTER_DEVICE:
        rights = (_ALL_RIGHTS & ~(1 << 2 | 1 << 5)).to_bytes(8, "little") + bytes(8)
    session.write(result, bytes([kind, 0, flags, 0, 0, 0, 0, 0]) + rights)
    return SUCCESS


@TABLE.add("ii")
def fd_fdstat_set_flags(session: Session, number: int, flags: int) -> int:
    handle = handle_of(session, number)
    if handle is None:
        return BADF
    return SUCCESS if bool(flags & _APPEND) == handle.appends else NOTSUP


@TABLE.add("iII")
def fd_fdstat_set_rights(session: Session, number: int, _base: int, _inheriting: int) -> int:
    return NOTSUP if handle_of(session, number) is not None else BADF


def write_filestat(session: Session, result: int, found: os.stat_result) -> None:
    """Write a `filestat` record; inode and device only say that two files are the same."""
    kind = DIRECTORY if stat.S_ISDIR(found.st_mode) else REGULAR
    kind = LINK if stat.S_ISLNK(found.st_mode) else kind
    times = (found.st_atime_ns, found.st_mtime_ns, found.st_ctime_ns)
    where = (found.st_dev, found.st_ino)
    if session.deterministic:  # what another machine's disk would tell otherwise
        times, where = (0, 0, 0), (0, 0)
    numbers = (*where, kind, found.st_nlink, found.st_size, *times)
    session.write(result, b"".join([(one % 2**64).to_bytes(8, "little") for one in numbers]))


@TABLE.add("ii")
@answering
def fd_filestat_get(session: Session, number: int, result: int) -> int:
    if number < 3:  # noqa: PLR2004 - the three streams
        session.write(result, bytes(16) + bytes([_CHARACTER_DEVICE]) + bytes(47))
        return SUCCESS
    handle = handle_of(session, number)
    if handle is None:
        return BADF
    write_filestat(session, result, os.fstat(handle.descriptor))
    return SUCCESS


@TABLE.add("ii")
def fd_prestat_get(session: Session, number: int, result: int) -> int:
    handle = handle_of(session, number)
    if handle is None or not handle.preopened:
        return BADF
    session.write(result, bytes(4) + len(os.fsencode(handle.path)).to_bytes(4, "little"))
    return SUCCESS


@TABLE.add("iii")
def fd_prestat_dir_name(session: Session, number: int, buffer: int, size: int) -> int:
    handle = handle_of(session, number)
    if handle is None or not handle.preopened:
        return BADF
    name = os.fsencode(handle.path)
    if size < len(name):
        return INVAL
    session.write(buffer, name)
    return SUCCESS


@TABLE.add("iiiIi")
@answering
def fd_readdir(
    session: Session, number: int, buffer: int, size: int, cookie: int, result: int
) -> int:
    handle = handle_of(session, number)
    if handle is None or not handle.is_directory:
        return BADF if handle is None else NOTDIR
    if not session.allows("fs", "read", handle.path):
        return NOTCAPABLE
    if cookie == 0:
        handle.listing = _listing(session, handle)
    data = bytearray()
    for at, (name, kind, inode) in enumerate(handle.listing[max(cookie, 0) :], cookie + 1):
        if len(data) >= size:
            break
        text = os.fsencode(name)
        data += at.to_bytes(8, "little") + inode.to_bytes(8, "little")
        data += len(text).to_bytes(4, "little") + bytes([kind, 0, 0, 0]) + text
    session.write(buffer, bytes(data[:size]))
    session.write_integer(result, min(len(data), size))
    return SUCCESS


def _listing(session: Session, handle: Handle) -> list[tuple[str, int, int]]:
    with os.scandir(handle.descriptor) as entries:
        found = [(one.name, _kind_of(one), one.inode()) for one in entries]
    found = [(".", DIRECTORY, 0), ("..", DIRECTORY, 0), *sorted(found)]
    session.move(sum(len(name) + _DIRENT for name, _, _ in found))
    return [(name, kind, 0) for name, kind, _ in found] if session.deterministic else found


def _kind_of(entry: os.DirEntry[str]) -> int:
    if entry.is_symlink():
        return LINK
    if entry.is_dir(follow_symlinks=False):
        return DIRECTORY
    return REGULAR if entry.is_file(follow_symlinks=False) else 0
