"""`serve.json`: how other commands find a service that runs on a data directory."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import attrs
import msgspec

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path


@attrs.frozen
class ServiceFile:
    """Where a service answers, and which process it is."""

    url: str
    pid: int


@contextmanager
def announced(path: Path, url: str) -> Generator[None, None, None]:
    """Say where this process answers, for as long as the block lasts.

    Whoever holds the log's lock is the only one to write here, so what was left by a process that
    was killed is replaced.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.encode(ServiceFile(url, os.getpid())))
    draft.replace(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def find_service(path: Path) -> ServiceFile | None:
    """Return the service that runs on a data directory, or None.

    A file that its service left behind, or that is no such file, counts as none.
    """
    try:
        found = msgspec.json.decode(path.read_bytes(), type=ServiceFile)
    except (OSError, msgspec.MsgspecError):
        return None
    return found if _lives(found.pid) else None


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return pid > 0
