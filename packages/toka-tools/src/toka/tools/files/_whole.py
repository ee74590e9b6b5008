"""Reading a small file as a whole."""

from __future__ import annotations

import os

from toka.tools._errors import WrongFileTypeError
from toka.tools.files._paths import open_parent, open_regular, system_error


def read_whole(real: str, most: int) -> bytes:
    """Return all bytes of the file at a real path.

    Raises:
        FileAccessError: It is missing, no regular file, a link by now, or cannot be read.
        WrongFileTypeError: It is longer than `most`.
    """
    with open_parent(real) as (parent, name):
        descriptor = open_regular(parent, name, real)
    try:
        with os.fdopen(descriptor, "rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise system_error(error, real) from error
    if len(data) > most:
        raise WrongFileTypeError(f"{real} is longer than {most} bytes.", details={"path": real})
    return data
