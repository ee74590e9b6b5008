"""A ring in a file that its owner alone can read, encrypted.

A new ring is written beside the old one, made durable, and then takes its name: whoever looks sees
the old one or the new one. Changers queue at a lock file, which is never removed, for a lock on a
file that has lost its name excludes nobody.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from toka.key_rotation._errors import KeyStoreError, KeyStoreMissing
from toka.key_rotation._sealing import MAX_STORE_BYTES, read_ring, write_ring

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from toka.key_rotation._sealing import WrappingKey
    from toka.key_rotation._state import RingState
    from toka.key_rotation._store import KeyStore

_OWNER_ONLY: Final = 0o600
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
# A link is not followed, and a pipe does not keep the process waiting.
_SAFE: Final = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class FileStore:
    """A ring in a file. Safe to use from several threads and processes; needs POSIX."""

    __slots__ = ("_key", "_path")

    def __init__(self, path: str | os.PathLike[str], key: WrappingKey) -> None:
        self._path = Path(path)
        self._key = key

    def create(self, state: RingState) -> bool:
        """Keep a new ring, and say whether there was none before; an old one stays.

        Missing directories are made for the owner only.

        Raises:
            KeyStoreError: The file cannot be written.
        """
        with self._failures("made"):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._locked():
            if os.path.lexists(self._path):
                return False
            self._write(write_ring(state, self._key))
            return True

    def load(self) -> RingState:
        """Return the ring.

        Raises:
            KeyStoreMissing: There is no file.
            KeyStoreError: It is a link or no regular file, belongs to another user, is accessible
                to others, is damaged, or cannot be read.
        """
        return read_ring(self._read(), self._key)

    def update(self, change: Callable[[RingState], RingState]) -> RingState:
        """Replace the ring by what `change` makes of it, with nobody in between.

        Raises:
            KeyStoreMissing: There is no file.
            KeyStoreError: As for `load`, or the file cannot be written.
        """
        with self._locked():
            before = self.load()
            after = change(before)
            if after is not before:
                self._write(write_ring(after, self._key))
            return after

    def mark(self) -> object:
        """Return what differs after every change: a new file takes the name each time.

        Raises:
            KeyStoreError: The file cannot be looked at.
        """
        with self._failures("read"):
            status = self._path.lstat()
        return status.st_ino, status.st_mtime_ns, status.st_size, status.st_ctime_ns

    def _read(self) -> bytes:
        with self._failures("read"):
            descriptor = os.open(self._path, os.O_RDONLY | _SAFE)
            try:
                self._check_access(os.fstat(descriptor))
                with os.fdopen(descriptor, "rb", closefd=False) as file:
                    data = file.read(MAX_STORE_BYTES + 1)
            finally:
                os.close(descriptor)
        if len(data) > MAX_STORE_BYTES:
            raise self._refused("is too large to be a key ring")
        return data

    def _write(self, data: bytes) -> None:
        draft = self._path.with_name(f".{self._path.name}.{secrets.token_hex(8)}")
        with self._failures("written"):
            try:
                descriptor = os.open(
                    draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _SAFE, _OWNER_ONLY
                )
                with os.fdopen(descriptor, "wb") as file:
                    os.fchmod(descriptor, _OWNER_ONLY)  # whatever the umask took away
                    file.write(data)
                    file.flush()
                    os.fsync(descriptor)
                # Only what is durable may take the name, and only then the name is made durable.
                draft.replace(self._path)
            except BaseException:
                draft.unlink(missing_ok=True)
                raise
            self._sync_directory()

    def _sync_directory(self) -> None:
        descriptor = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def _locked(self) -> Generator[None]:
        path = self._path.with_name(f"{self._path.name}.lock")
        with self._failures("locked"):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | _SAFE, _OWNER_ONLY)
        try:
            with self._failures("locked"):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _check_access(self, status: os.stat_result) -> None:
        if not stat.S_ISREG(status.st_mode):
            raise self._refused("is not a regular file")
        if status.st_uid != os.geteuid():
            raise self._refused(f"belongs to user {status.st_uid}")
        if status.st_mode & _OTHERS:
            mode = stat.S_IMODE(status.st_mode)
            raise self._refused(f"can be reached by others (mode {mode:04o})")

    @contextlib.contextmanager
    def _failures(self, verb: str) -> Generator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise KeyStoreMissing(
                f"There is no key ring {str(self._path)!r}.", hint="Make one with KeyRing.create."
            ) from error
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise self._refused("is a symbolic link") from error
            reason = os.strerror(error.errno) if error.errno else type(error).__name__
            raise KeyStoreError(
                f"The key ring {str(self._path)!r} cannot be {verb}: {reason}.",
                hint="Check the directory, its owner, its permissions and the space on the disk.",
            ) from error

    def _refused(self, why: str) -> KeyStoreError:
        return KeyStoreError(
            f"The key ring {str(self._path)!r} {why}.",
            hint="Restore it, or move it away if you mean every token to become invalid.",
        )


if TYPE_CHECKING:
    _implements: type[KeyStore] = FileStore
