"""What is answered while the storage is down."""

from __future__ import annotations

import enum
import logging
from typing import TYPE_CHECKING

from toka.rate_limiter._decision import Decision
from toka.rate_limiter._memory import MemoryStorage
from toka.rate_limiter._storage import Action

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toka.rate_limiter._decision import LimitStatus
    from toka.rate_limiter._errors import StorageUnavailable
    from toka.rate_limiter._storage import Charge

_log = logging.getLogger("toka.rate_limiter")


class WhenDown(enum.Enum):
    """What to answer while the storage is down."""

    CLOSED = "closed"
    """Refuse. The default, for limits that guard: guessing must not become free."""
    OPEN = "open"
    """Admit. For limits that only smooth."""
    LOCAL = "local"
    """Count in this process's memory; with several processes each admits the quota."""


class Outage:
    """Answers in the storage's place, and says once that it does and once that it is over."""

    __slots__ = ("_local", "_mode", "_ongoing")

    def __init__(self, mode: WhenDown) -> None:
        self._mode = mode
        self._local = MemoryStorage() if mode is WhenDown.LOCAL else None
        self._ongoing = False

    def answer(
        self, action: Action, charges: Sequence[Charge], cost: int, error: StorageUnavailable
    ) -> Decision:
        """Return the answer of the configured mode.

        Raises:
            StorageUnavailable: It was a refund or a reset, which nothing can stand in for.
        """
        if not self._ongoing:
            self._ongoing = True
            _log.error("the limits' storage is down, mode %s: %s", self._mode.value, error)
        if action in {Action.REFUND, Action.RESET}:
            raise error
        if self._local is not None:
            return decide(self._local.apply(action, charges, cost), degraded=True)
        return Decision(self._mode is WhenDown.OPEN, (), True)

    def over(self) -> None:
        """Take note that the storage answered."""
        if self._ongoing:
            self._ongoing = False
            _log.warning("the limits' storage answers again")


def decide(statuses: Sequence[LimitStatus], *, degraded: bool = False) -> Decision:
    """Combine what the limits say: all that are enforced must admit."""
    admitted = True
    for status in statuses:
        if not status.admitted and not status.limit.shadow:
            admitted = False
    return Decision(admitted, tuple(statuses), degraded)
