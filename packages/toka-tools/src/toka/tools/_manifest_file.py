"""Reading a manifest, or what lies beside it, without trusting its size."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Final

from toka.tools._errors import InvalidManifestError

if TYPE_CHECKING:
    from pathlib import Path


OTHERS_MAY_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH


def read_bounded(path: Path, most: int, *, private: bool = False) -> bytes:
    """Read a file of at most so many bytes.

    Args:
        path: The file.
        most: How many.
        private: Whether nobody else may be able to write it.

    Raises:
        InvalidManifestError: It cannot be read, is no regular file, is longer, or others may write
            it.
    """
    try:
        # A pipe would be waited for until somebody writes into it.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise InvalidManifestError(f"{path} is no regular file.")
            if private:
                check_private(status, path)
            data = file.read(most + 1)
    except OSError as error:
        raise InvalidManifestError(f"{path} cannot be read: {error.strerror}.") from error
    if len(data) > most:
        raise InvalidManifestError(f"{path} is longer than {most} bytes.")
    return data


def check_private(status: os.stat_result, path: Path) -> None:
    """Refuse what somebody else may write: whoever does says what is run.

    Raises:
        InvalidManifestError: Somebody may.
    """
    if status.st_mode & OTHERS_MAY_WRITE or status.st_uid not in (0, os.geteuid()):
        raise InvalidManifestError(
            f"{path} can be written by others, who could say what is run.",
            hint=f"chmod go-w {path}, and own it.",
            details={"path": str(path)},
        )
