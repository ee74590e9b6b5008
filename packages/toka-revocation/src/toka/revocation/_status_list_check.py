"""Answers from a signed status list, offline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toka.capability.core import Denial, SteadyTime
from toka.revocation._errors import StatusListError
from toka.revocation._status_list import SUSPENDED, VALID

if TYPE_CHECKING:
    from collections.abc import Callable

    from toka.capability.core import Claims
    from toka.revocation._signed_list import SignedStatusList
    from toka.types import Clock


class StatusListCheck:
    """Answers from a signed list, offline, until it is too old; fits `toka.auth.RevocationCheck`.

    An index that is not in the list, a token without one, and a list out of date all refuse.
    """

    __slots__ = ("_index_of", "_list", "_replaced", "_time")

    def __init__(
        self,
        signed: SignedStatusList,
        clock: Clock,
        index_of: Callable[[Claims], int | None],
    ) -> None:
        """Prepare to answer.

        Args:
            signed: The list to begin with.
            clock: Tells the time.
            index_of: Returns the index that a token names, for example in an extension of its own.
        """
        self._list = signed
        self._time = SteadyTime(clock)
        self._index_of = index_of
        self._replaced = 0

    @property
    def epoch(self) -> int:
        """Grows with every list; -1 while the list is too old."""
        return self._replaced if self._time.seconds() < self._list.usable_until else -1

    def replace(self, signed: SignedStatusList) -> None:
        """Use a newer list.

        Raises:
            StatusListError: It is older than the one in use, or of another address.
        """
        if signed.issued_at < self._list.issued_at or signed.subject != self._list.subject:
            raise StatusListError("A status list is replaced by a newer one of the same address.")
        self._list = signed
        self._replaced += 1

    def denial(self, claims: Claims) -> Denial | None:
        """Say why a token with these claims is refused, or None if it is not."""
        signed, index = self._list, self._index_of(claims)
        if self._time.seconds() >= signed.usable_until:
            return Denial(code="capability.revocation_unknown", rule="the status list is too old")
        # A token's own data may be anything, also `true`, which counts as 1 elsewhere.
        if type(index) is not int or not 0 <= index < len(signed.statuses):
            return Denial(code="capability.revocation_unknown", rule="the token has no status")
        status = signed.statuses[index]
        if status == VALID:
            return None
        rule = "the token is suspended" if status == SUSPENDED else "the token was revoked"
        return Denial(code="capability.revoked", rule=rule)
