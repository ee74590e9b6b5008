"""Rates of tokens, counted by toka-rate-limiter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from toka.capability.core import Denial

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toka.auth._presented import RateCheck
    from toka.capability.core import Hop, MaxRate
    from toka.rate_limiter import Limit, Storage

_LIMITED: Final = Denial(code="auth.rate_limited", rule="an account of the token is used up")
_DOWN: Final = Denial(code="auth.rate_limited", rule="rates cannot be counted at the moment")


class StorageRates:
    """Counts every act against all accounts with a rate at once, or against none.

    Needs the extra `rates`. While the storage is down tokens with a rate are refused.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def denial(self, accounts: Sequence[Hop]) -> Denial | None:
        """Count one act, or say why not."""
        from toka.rate_limiter import (  # noqa: PLC0415 - an extra
            Action,
            StorageUnavailable,
        )

        charges = [
            (_limit(hop.rate), hop.token_id)
            for hop in accounts
            if hop.rate is not None and hop.rate.calls
        ]
        if len(charges) != len(accounts):
            return _LIMITED
        try:
            statuses = self._storage.apply(Action.HIT, charges, 1)
        except StorageUnavailable:
            return _DOWN
        return None if all(status.admitted for status in statuses) else _LIMITED


def _limit(rate: MaxRate) -> Limit:
    from toka.rate_limiter import SECOND, Algorithm, Limit  # noqa: PLC0415 - see above

    # The log alone keeps "at most so many in any so long" exactly; a bucket lets twice as many by.
    # Limits of one name are one limit to a storage, so what differs has a name of its own.
    name = f"token-{rate.calls}-{rate.seconds}"
    return Limit(name, rate.calls, rate.seconds * SECOND, algorithm=Algorithm.SLIDING_LOG)


if TYPE_CHECKING:
    _implements: type[RateCheck] = StorageRates
