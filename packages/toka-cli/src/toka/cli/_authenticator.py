"""Who may act on a data directory: tokens of its key that were not taken back."""

from __future__ import annotations

from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from toka.auth import Authenticator
    from toka.cli._data_directory import DataDirectory, Keys
    from toka.types import Clock


@asynccontextmanager
async def open_authenticator(
    data: DataDirectory, keys: Keys, clock: Clock
) -> AsyncGenerator[Authenticator, None]:
    """Check tokens with everything that they may ask for: revocation, proofs, rates.

    What another process takes back is known within a second; should the file become unreadable, no
    token is accepted after ten.

    Raises:
        RevocationError: What was taken back cannot be read.
        UsedTokensError: The file of used proofs cannot be used.
    """
    from toka.auth import (  # noqa: PLC0415 - not for --help
        Authenticator,
        DpopProofs,
        SqliteUsedTokens,
        StorageRates,
        StoredRevocations,
    )
    from toka.rate_limiter import MemoryStorage  # noqa: PLC0415
    from toka.revocation import Revocations, SqliteLog  # noqa: PLC0415

    with (
        closing(SqliteLog(data.revocations)) as log,
        SqliteUsedTokens(data.used_tokens, clock) as used,
    ):
        revocations = await Revocations.open(log, clock)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(revocations.follow)
            yield Authenticator(
                [keys.validator],
                clock,
                revoked=StoredRevocations(revocations),
                proofs=DpopProofs(clock, used),
                rates=StorageRates(MemoryStorage(clock)),
            )
            tasks.cancel_scope.cancel()
