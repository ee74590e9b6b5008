"""A key on disk that its owner alone can read, made when it is missing, never guessed.

The file is three lines: what it is, the key's public name, and the secret in base64url. The name is
the secret's hash, so a changed byte anywhere is found. It is written beside its place, made
durable, and only then linked to its name, which fails if another process was first: whoever looks
sees no file or a whole one, and all processes get the same key.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import errno
import os
import secrets
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from toka.auth._errors import KeyFileError, KeyFileMissing
from toka.capability.jwt_hs256 import MAX_KEY_BYTES, Hs256Key, InvalidKeyError

if TYPE_CHECKING:
    from collections.abc import Generator

_TITLE: Final = "toka-hs256-key-1"
_OWNER_ONLY: Final = 0o600
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_MAX_FILE_BYTES: Final = 2 * MAX_KEY_BYTES
# A link is not followed, and a pipe does not keep the process waiting.
_READ: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


class KeyFile:
    """Reads and makes key files. Needs a POSIX file system with hard links."""

    @staticmethod
    def load(path: str | os.PathLike[str]) -> Hs256Key:
        """Read the key at `path`.

        Raises:
            KeyFileMissing: There is no file.
            KeyFileError: It is a link or no regular file, belongs to another user, is accessible
                to a group or to others, is damaged, or cannot be read.
        """
        return _parse(Path(path), _read(Path(path)))

    @staticmethod
    def load_or_create(path: str | os.PathLike[str]) -> tuple[Hs256Key, bool]:
        """Read the key at `path`, or make one there; say whether it was made.

        Missing directories are made for the owner only.

        Raises:
            KeyFileError: As for `load`, or the file cannot be written.
        """
        try:
            return KeyFile.load(path), False
        except KeyFileMissing:
            key = Hs256Key.generate()
        if _create(Path(path), _render(key)):
            return key, True
        return KeyFile.load(path), False


def _read(path: Path) -> bytes:
    try:
        descriptor = os.open(path, _READ)
    except FileNotFoundError as error:
        raise KeyFileMissing(f"There is no key file {str(path)!r}.") from error
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _refused(path, "is a symbolic link", "Name the file itself.") from error
        raise _unusable(path, "read", error) from error
    try:
        _check_access(path, os.fstat(descriptor))
        return os.read(descriptor, _MAX_FILE_BYTES)
    except OSError as error:
        raise _unusable(path, "read", error) from error
    finally:
        os.close(descriptor)


def _check_access(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise _refused(path, "is not a regular file", "Name a file.")
    if status.st_uid != os.geteuid():
        raise _refused(path, f"belongs to user {status.st_uid}", "Run as its owner.")
    if status.st_mode & _OTHERS:
        mode = stat.S_IMODE(status.st_mode)
        raise _refused(
            path,
            f"can be reached by others (mode {mode:04o})",
            "They may know the key: delete the file and let a new one be made, or run chmod 600"
            " on it if you are sure that nobody read it.",
        )


def _parse(path: Path, data: bytes) -> Hs256Key:
    damaged = _refused(
        path, "is damaged", "Restore it, or delete it: tokens of the old key become invalid."
    )
    lines = data.split(b"\n")
    try:
        key = Hs256Key.from_bytes(base64.urlsafe_b64decode(lines[-2] if len(lines) > 1 else b""))
    except (binascii.Error, ValueError, InvalidKeyError):
        # What the decoder complained about may quote the secret.
        raise damaged from None
    if _render(key) != data:
        raise damaged
    return key


def _render(key: Hs256Key) -> bytes:
    secret = base64.urlsafe_b64encode(key.unsafe_secret()).decode("ascii")
    return f"{_TITLE}\n{key.kid}\n{secret}\n".encode("ascii")


def _create(path: Path, data: bytes) -> bool:
    """Put a new file at `path`, and say whether it was not there already."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _draft(draft, data):
            os.link(draft, path, follow_symlinks=False)
    except FileExistsError:
        return False
    except OSError as error:
        raise _unusable(path, "made", error) from error
    return True


@contextlib.contextmanager
def _draft(path: Path, data: bytes) -> Generator[None]:
    """Hold `data` durably in a file of its own; at the end only other links to it remain."""
    descriptor = os.open(path, _CREATE, _OWNER_ONLY)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, _OWNER_ONLY)  # whatever the umask took away
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        yield
    finally:
        path.unlink()
    _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refused(path: Path, why: str, hint: str) -> KeyFileError:
    return KeyFileError(f"The key file {str(path)!r} {why}.", hint=hint)


def _unusable(path: Path, verb: str, error: OSError) -> KeyFileError:
    reason = os.strerror(error.errno) if error.errno else type(error).__name__
    return KeyFileError(
        f"The key file {str(path)!r} cannot be {verb}: {reason}.",
        hint="Check the directory, its owner and its permissions.",
    )
