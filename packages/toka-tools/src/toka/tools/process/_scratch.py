"""A directory for the time of one call."""

from __future__ import annotations

import os
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


@asynccontextmanager
async def scratch() -> AsyncGenerator[Path]:
    """Lend an empty directory that is gone afterwards, whatever was made in it."""
    import anyio.to_thread  # noqa: PLC0415 - 40 ms at import

    folder = tempfile.TemporaryDirectory(prefix="toka-", ignore_cleanup_errors=True)
    try:
        yield _real(folder.name)
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(folder.cleanup)


def _real(path: str) -> Path:
    return Path(os.path.realpath(path))
