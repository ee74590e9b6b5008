"""Looking at processes that nobody tells a test about."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something in another process, of which nobody tells this one."""
    with anyio.fail_after(30):
        while not condition():  # noqa: ASYNC110 - see above
            await anyio.sleep(0.005)
