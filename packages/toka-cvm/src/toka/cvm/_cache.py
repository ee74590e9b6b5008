"""Machine code of modules that were compiled before, in a folder that is this user's alone.

wasmtime runs machine code as it is, without a look at it. So whoever can write into the folder
can run anything: it is checked before each use that nobody else can.
"""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Final

from toka.cvm._errors import CacheError

_DIGEST: Final = 32


class ModuleCache:
    """A folder of machine code, named by the hash of what it was made from.

    Raises:
        CacheError: The folder is somebody else's, or others may look or write there.
    """

    def __init__(self, folder: str | os.PathLike[str], *, max_bytes: int = 1 << 30) -> None:
        self._folder = Path(folder)
        self._max_bytes = max_bytes
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._check()

    def get(self, key: str, wasm: bytes) -> bytes | None:
        """Return the machine code of a module, or None.

        Args:
            key: Names the compiler and its settings.
            wasm: The module.

        Raises:
            CacheError: The folder, or the file, is not private.
        """
        self._check()
        path = self._folder / _name(key, wasm)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _not_private(path, "is no plain file") from error
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode) or not _is_private(found):
                raise _not_private(path, "is not only this user's")
            data = file.read()
        # Against a disk that fails, not against an attacker, who would write a fitting digest.
        code = data[_DIGEST:]
        return code if blake2b(code, digest_size=_DIGEST).digest() == data[:_DIGEST] else None

    def put(self, key: str, wasm: bytes, code: bytes) -> None:
        """Keep the machine code of a module. The oldest go where there is no more room.

        Raises:
            CacheError: The folder is not private.
        """
        self._check()
        self._make_room(len(code) + _DIGEST)
        descriptor, temporary = tempfile.mkstemp(dir=self._folder, prefix=".new-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(blake2b(code, digest_size=_DIGEST).digest() + code)
            Path(temporary).replace(self._folder / _name(key, wasm))
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    def _make_room(self, size: int) -> None:
        files = [
            (one.stat().st_mtime_ns, one.stat().st_size, one) for one in self._folder.iterdir()
        ]
        total = sum(used for _, used, _ in files) + size
        for _, used, path in sorted(files):
            if total <= self._max_bytes:
                return
            with suppress(FileNotFoundError):
                path.unlink()
            total -= used

    def _check(self) -> None:
        found = os.lstat(self._folder)
        if not stat.S_ISDIR(found.st_mode):
            raise _not_private(self._folder, "is no folder")
        if not _is_private(found):
            raise _not_private(self._folder, "is not only this user's")


def _is_private(found: os.stat_result) -> bool:
    return found.st_uid == os.geteuid() and not found.st_mode & 0o077


def _not_private(path: Path, why: str) -> CacheError:
    return CacheError(
        f"Compiled modules are not loaded: {path} {why}.",
        hint="Use a folder of your own, with mode 0700.",
    )


def _name(key: str, wasm: bytes) -> str:
    # The key has its length before it, so that no module can pretend to be another's settings.
    text = key.encode()
    return blake2b(len(text).to_bytes(4, "little") + text + wasm, digest_size=_DIGEST).hexdigest()
