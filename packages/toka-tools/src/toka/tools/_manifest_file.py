"""Reading a manifest, or what lies beside it, without trusting its size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toka.tools._errors import InvalidManifestError

if TYPE_CHECKING:
    from pathlib import Path


def read_bounded(path: Path, most: int) -> bytes:
    """Read a file of at most so many bytes.

    Raises:
        InvalidManifestError: It cannot be read, or is longer.
    """
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise InvalidManifestError(f"{path} cannot be read: {error.strerror}.") from error
    if len(data) > most:
        raise InvalidManifestError(f"{path} is longer than {most} bytes.")
    return data
