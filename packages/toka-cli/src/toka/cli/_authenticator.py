"""Who may act on a data directory: tokens of its key that were not taken back."""

from __future__ import annotations

from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING

import anyio
import attrs

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from toka.auth import Authenticator, StorageRates, StoredRevocations
    from toka.capability.core import Denial, Hop
    from toka.cli._data_directory import DataDirectory, Keys
    from toka.types import Clock


class _Rates:
    """Counts acts in memory; the limiter is loaded when a token with a rate first comes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rates: StorageRates | None = None

    def denial(self, accounts: Sequence[Hop]) -> Denial | None:
        """Count one act against every account with a rate, or against none and say why."""
        if self._rates is None:
            from toka.auth import StorageRates  # noqa: PLC0415 - most runs count nothing
            from toka.rate_limiter import MemoryStorage  # noqa: PLC0415

            self._rates = StorageRates(MemoryStorage(self._clock))
        return self._rates.denial(accounts)


@attrs.frozen
class Access:
    """Who may act, and what was taken back."""

    authenticator: Authenticator
    revocations: StoredRevocations


@asynccontextmanager
async def open_authenticator(
    data: DataDirectory, keys: Keys, clock: Clock
) -> AsyncGenerator[Access, None]:
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
        StoredRevocations,
    )
    from toka.revocation import Revocations, SqliteLog  # noqa: PLC0415

    with (
        closing(SqliteLog(data.revocations)) as log,
        SqliteUsedTokens(data.used_tokens, clock) as used,
    ):
        revocations = await Revocations.open(log, clock)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(revocations.follow)
            revoked = StoredRevocations(revocations)
            authenticator = Authenticator(
                [keys.validator],
                clock,
                revoked=revoked,
                proofs=DpopProofs(clock, used),
                rates=_Rates(clock),
            )
            yield Access(authenticator, revoked)
            tasks.cancel_scope.cancel()
