"""A disk whose power can be cut, and which can fail: a folder like any other to what runs on it."""

from __future__ import annotations

import errno
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from toka.store.core._errors import StoreError
from toka.store.core.testing._power_cut import Recording
from toka.store.core.testing._record import read_records

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType
    from typing import Self

Call: TypeAlias = Literal["write", "sync"]

_MODULE: Final = "toka.store.core.testing._filesystem"
_FOREVER: Final = 1_000_000_000


class DiskUnavailable(StoreError):
    """The machine cannot serve a file system of ours: no FUSE, or no right to use it."""

    default_code = "store.testing.disk_unavailable"


class LossyDisk:
    """A folder that records what happens in it; a context manager.

    Run any program on `folder`, let it say with `mark` what it was promised, and ask the
    `recording` what the disk could hold had the power failed at any moment. One run gives as
    many crashes as it has records, each with many outcomes, and the power never has to fail.

    It needs Linux, FUSE (Debian's `fuse3` and `libfuse2`) and the extra `testing`.
    """

    def __init__(self, place: Path) -> None:
        """Say where it keeps its files.

        Args:
            place: A folder for its own use, on a usual disk; it is made.
        """
        self.folder = place / "disk"
        """Where programs write."""
        self._behind = place / "behind"
        self._path = place / "recording"
        self._control = self.folder / ".disk"
        self._server: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        """Start the file system.

        Raises:
            DiskUnavailable: It cannot be served here.
        """
        for each in (self.folder, self._behind):
            each.mkdir(parents=True)
        self._server = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", _MODULE, self.folder, self._behind, self._path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._server.stdout is not None  # noqa: S101 - for type checkers
        if self._server.stdout.readline() != "ready\n":
            _, complaint = self._server.communicate()
            last = complaint.strip().rpartition("\n")[2]
            raise DiskUnavailable(
                f"The file system cannot be served: {last}.",
                hint="Install fuse3, libfuse2 and toka-store-core[testing]; /dev/fuse must be"
                " there and open to this user.",
            )
        # The first look waits until the kernel has the mount.
        self._control.stat()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the file system; the recording stays."""
        server = self._server
        if server is None:
            return
        # The recording is complete with each call; libfuse would take a second to end by itself.
        if not _unmount(self.folder):
            server.terminate()
            server.wait()
        server.kill()
        server.communicate()

    def mark(self, text: str) -> None:
        """Put a mark into the recording, after all that was done before."""
        self._tell(f"mark {text}")

    def fail(
        self, call: Call, code: int = errno.EIO, *, after: int = 0, times: int = _FOREVER
    ) -> None:
        """Let calls fail.

        Args:
            call: `write` stands for all that takes space, `sync` for `fsync` of files and folders.
            code: Of the error, as `errno.EIO` or `errno.ENOSPC`.
            after: Calls that succeed before.
            times: Calls that fail; the next ones succeed.
        """
        self._tell(f"fail {call} {code} {after} {times}")

    def heal(self) -> None:
        """Let all calls succeed again."""
        self._tell("heal")

    def _tell(self, text: str) -> None:
        with self._control.open("wb", buffering=0) as control:
            control.write(text.encode())

    def recording(self) -> Recording:
        """Return what happened until now.

        Raises:
            OSError: The recording cannot be read.
        """
        return Recording(read_records(self._path))


def _unmount(folder: Path) -> bool:
    path = shutil.which("fusermount3") or shutil.which("fusermount")
    if path is None:
        return False
    done = subprocess.run([path, "-u", "-z", folder], check=False, capture_output=True)  # noqa: S603 - FUSE's own
    return not done.returncode
