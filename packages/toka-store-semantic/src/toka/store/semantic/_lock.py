"""One user of an index directory at a time.

`flock` belongs to the open file, so a second open in the same process is refused too, and the
system releases it however the holder dies.
"""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from toka.store.semantic._errors import IndexLocked

if TYPE_CHECKING:
    from pathlib import Path


def take(folder: Path) -> int:
    """Take the lock of a folder and return its descriptor; closing that gives the lock up.

    Raises:
        IndexLocked: Someone else has it.
        OSError: The lock file cannot be made.
    """
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise IndexLocked(str(folder)) from None
    return descriptor
