# ruff: noqa: PTH101, PTH102, PTH104, PTH106, PTH108, PTH208 - paths are text here, as FUSE gives them
"""The file system that records: a FUSE folder in front of a plain one, in a process of its own.

It passes every call through to the plain folder and appends a record of it to the recording before
the call returns. The file `.disk` in its root takes what programs say (`mark TEXT`) and the faults
to come (`fail CALL CODE AFTER TIMES`, `heal`); it is in no listing and in no record.

Locks and shared memory need nothing here: the kernel keeps them for a file system that has no
locks of its own, and maps pages from its cache.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Final

import attrs
import mfusepy  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]  # it has none

from toka.store.core.testing._record import (
    Create,
    MakeFolder,
    Mark,
    Remove,
    RemoveFolder,
    Rename,
    Sync,
    SyncFolder,
    Truncate,
    Write,
    frame,
)

if TYPE_CHECKING:
    from toka.store.core.testing._record import AnyRecord

CONTROL: Final = "/.disk"
_CONTROL_HANDLE: Final = 2**32


@attrs.define
class _Fault:
    call: str
    """`write` or `sync`."""
    code: int
    after: int
    """Calls that still succeed."""
    times: int
    """Calls that fail then; the next succeed again."""


class RecordingFileSystem(mfusepy.Operations):  # type: ignore[misc]  # the base is not typed
    """Calls in, the same calls out, and a record of each that changed anything."""

    use_ns = True

    def __init__(self, folder: str, recording: str) -> None:
        self._folder = folder
        self._recording = os.open(recording, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._names: dict[str, int] = {}
        self._handles: dict[int, int] = {}
        self._count = 0
        self._fault: _Fault | None = None

    def _real(self, path: str) -> str:
        return self._folder + path

    def _record(self, record: AnyRecord) -> None:
        os.write(self._recording, frame(record))

    def _check(self, call: str) -> None:
        fault = self._fault
        if fault is None or fault.call != call:
            return
        if fault.after > 0:
            fault.after -= 1
        elif fault.times > 0:
            fault.times -= 1
            raise OSError(fault.code, os.strerror(fault.code))

    # ---- what programs say

    def _obey(self, text: str) -> None:
        verb, _, rest = text.partition(" ")
        if verb == "mark":
            self._record(Mark(rest))
        elif verb == "fail":
            call, *numbers = rest.split()
            self._fault = _Fault(call, *map(int, numbers))
        else:
            self._fault = None

    # ---- looking

    def init(self, path: str) -> None:  # noqa: ARG002 - the signature is FUSE's
        sys.stdout.write("ready\n")
        sys.stdout.flush()

    def getattr(self, path: str, fh: int | None = None) -> dict[str, int]:
        if path == CONTROL:
            return {"st_mode": 0o100600, "st_nlink": 1, "st_size": 0}
        real = fh is not None and fh != _CONTROL_HANDLE
        found = os.fstat(fh) if real and fh is not None else os.lstat(self._real(path))
        names = ("st_mode", "st_ino", "st_nlink", "st_uid", "st_gid", "st_size", "st_blocks")
        times = {f"st_{each}time": getattr(found, f"st_{each}time_ns") for each in "amc"}
        return {name: getattr(found, name) for name in names} | times

    def readdir(self, path: str, fh: int) -> list[str]:  # noqa: ARG002
        return [".", "..", *os.listdir(self._real(path))]

    def statfs(self, path: str) -> dict[str, int]:
        found = os.statvfs(self._real(path))
        names = ("f_bsize", "f_frsize", "f_blocks", "f_bfree", "f_bavail", "f_files", "f_ffree")
        return {name: getattr(found, name) for name in names}

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:  # noqa: ARG002
        return b"" if fh == _CONTROL_HANDLE else os.pread(fh, size, offset)

    # ---- files

    def open(self, path: str, flags: int) -> int:
        if path == CONTROL:
            return _CONTROL_HANDLE
        # The kernel says where a write goes, also for O_APPEND; it may read to fill a page.
        mode = os.O_RDONLY if flags & os.O_ACCMODE == os.O_RDONLY else os.O_RDWR
        handle = os.open(self._real(path), mode | flags & os.O_TRUNC)
        self._handles[handle] = self._names[path]
        if flags & os.O_TRUNC:
            self._record(Truncate(self._names[path], 0))
        return handle

    def create(self, path: str, mode: int, fi: object = None) -> int:  # noqa: ARG002
        self._check("write")
        handle = os.open(self._real(path), os.O_RDWR | os.O_CREAT | os.O_TRUNC, mode)
        self._count += 1
        self._names[path] = self._handles[handle] = self._count
        self._record(Create(path[1:], self._count))
        return handle

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:  # noqa: ARG002
        if fh == _CONTROL_HANDLE:
            self._obey(data.decode())
            return len(data)
        self._check("write")
        os.pwrite(fh, data, offset)
        self._record(Write(self._handles[fh], offset, data))
        return len(data)

    def truncate(self, path: str, length: int, fh: int | None = None) -> int:
        if path == CONTROL:
            return 0
        self._check("write")
        os.truncate(self._real(path) if fh is None else fh, length)
        self._record(Truncate(self._names[path] if fh is None else self._handles[fh], length))
        return 0

    def fsync(self, path: str, datasync: int, fh: int) -> int:  # noqa: ARG002
        if fh != _CONTROL_HANDLE:
            self._check("sync")
            self._record(Sync(self._handles[fh]))
        return 0

    def release(self, path: str, fh: int) -> int:  # noqa: ARG002
        if fh != _CONTROL_HANDLE:
            os.close(fh)
            del self._handles[fh]
        return 0

    # ---- names

    def unlink(self, path: str) -> int:
        os.unlink(self._real(path))
        del self._names[path]
        self._record(Remove(path[1:]))
        return 0

    def rename(self, old: str, new: str) -> int:
        os.rename(self._real(old), self._real(new))
        file = self._names.pop(old, None)
        if file is not None:
            self._names[new] = file
        else:
            for path in [each for each in self._names if each.startswith(f"{old}/")]:
                self._names[new + path[len(old) :]] = self._names.pop(path)
        self._record(Rename(old[1:], new[1:], file))
        return 0

    def link(self, target: str, source: str) -> int:
        os.link(self._real(source), self._real(target))
        self._names[target] = self._names[source]
        self._record(Create(target[1:], self._names[source]))
        return 0

    def mkdir(self, path: str, mode: int) -> int:
        os.mkdir(self._real(path), mode)
        self._record(MakeFolder(path[1:]))
        return 0

    def rmdir(self, path: str) -> int:
        os.rmdir(self._real(path))
        self._record(RemoveFolder(path[1:]))
        return 0

    def opendir(self, path: str) -> int:  # noqa: ARG002 - must be there for fsyncdir to be
        return 0

    def fsyncdir(self, path: str, datasync: int, fh: int) -> int:  # noqa: ARG002
        self._check("sync")
        self._record(SyncFolder(path[1:]))
        return 0

    def chmod(self, path: str, mode: int) -> int:
        os.chmod(self._real(path), mode)
        return 0

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> int:
        if times is None:
            os.utime(self._real(path))
        else:
            os.utime(self._real(path), ns=times)
        return 0


def _end_with_the_parent() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


def main(mount: str, folder: str, recording: str) -> None:
    """Serve until the process is told to end, or whoever started it ends."""
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    mfusepy.FUSE(
        RecordingFileSystem(folder, recording),
        mount,
        foreground=True,
        nothreads=True,  # one call at a time: the records are in the order of the calls
        big_writes=True,
        fsname="toka-lossy-disk",
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
