"""Whether a token that is genuine was taken back.

The authenticator remembers verified tokens, so a check says with a number when its answers may have
changed: the epoch. Revoking is one-way: nothing here, and nothing that implements the protocol, may
accept again what it once refused.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Protocol

from toka.auth._errors import TakeBackError
from toka.capability.core import Denial

if TYPE_CHECKING:
    from toka.capability.core import Claims, Hop
    from toka.revocation import Revocations


class RevocationCheck(Protocol):
    """Knows which tokens were taken back."""

    @property
    def epoch(self) -> int:
        """A number that grows with every revocation, after the revocation shows in `denial`."""
        ...

    def denial(self, claims: Claims) -> Denial | None:
        """Say why a token with these claims was taken back, or None if it was not."""
        ...


class TakesBack(Protocol):
    """Takes tokens back."""

    async def take_back(self, claims: Claims) -> None:
        """Take back what `taken_back` names, for ever, with everything that was narrowed from it.

        Raises:
            TakeBackError: It may not have been kept; call again until it was.
        """
        ...


def taken_back(claims: Claims) -> Hop:
    """Return the link to revoke when a holder gives his credential back: the first that is his.

    In a chain nobody holds two links, so it is the token's own. An API key holds two: itself, and
    the period that it is used in; to revoke only that would bring the key back within the hour.
    """
    return next(hop for hop in claims.accounts if hop.subject == claims.subject)


class NothingRevoked:
    """The check where there is no revocation: short lives of tokens are all that limits them."""

    epoch = 0

    def denial(self, claims: Claims) -> Denial | None:  # noqa: ARG002 - the protocol's signature
        return None


class MemoryRevocations:
    """Revocations of this process, by token and by subject; lost when it ends."""

    __slots__ = ("_epoch", "_lock", "_subjects", "_tokens")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._epoch = 0
        self._tokens: set[str] = set()
        self._subjects: dict[tuple[str, str], int] = {}

    @property
    def epoch(self) -> int:
        """A number that grows with every revocation."""
        return self._epoch

    def revoke_token(self, token_id: str) -> None:
        """Take back every token with this id, for ever; of a hop's id, the hop and its subtree."""
        with self._lock:
            self._tokens.add(token_id)
            self._epoch += 1

    async def take_back(self, claims: Claims) -> None:
        """Take back the token or hop with these claims, and everything narrowed from it."""
        self.revoke_token(taken_back(claims).token_id)

    def revoke_subject(self, vault: str, subject: str, *, issued_until: int) -> None:
        """Take back every token of a subject that was issued up to a time, that second included.

        Args:
            vault: The tenant that the subject belongs to.
            subject: Whose tokens.
            issued_until: Seconds since the Unix epoch. An earlier time than before changes nothing.
        """
        with self._lock:
            key = (vault, subject)
            self._subjects[key] = max(issued_until, self._subjects.get(key, issued_until))
            self._epoch += 1

    def denial(self, claims: Claims) -> Denial | None:
        """Say why a token with these claims was taken back, or None if it was not."""
        # What a chain hands on falls with every link before it: the token's own, and the subject's.
        for number, hop in enumerate(claims.accounts):
            if hop.token_id in self._tokens:
                return _revoked("the token was revoked", number)
            until = self._subjects.get((claims.vault, hop.subject))
            if until is not None and claims.issued_at <= until:
                return _revoked("the subject's tokens were revoked", number)
        return None


def _revoked(rule: str, hop: int) -> Denial:
    return Denial(code="capability.revoked", rule=rule, hop=hop)


class StoredRevocations:
    """Revocations that last, by toka-revocation; needs the extra `revocation`."""

    __slots__ = ("_revocations",)

    def __init__(self, revocations: Revocations) -> None:
        self._revocations = revocations

    @property
    def epoch(self) -> int:
        """Changes whenever an answer may have."""
        return self._revocations.epoch

    def denial(self, claims: Claims) -> Denial | None:
        """Say why a token with these claims was taken back, or None if it was not."""
        return self._revocations.denial(claims)

    async def take_back(self, claims: Claims) -> None:
        """Take back the token or hop with these claims, and everything narrowed from it.

        Raises:
            TakeBackError: It may not have been kept; call again until it was.
        """
        from toka.revocation import Revocation, RevocationError  # noqa: PLC0415 - an extra

        link = taken_back(claims).token_id
        # What outlives the claims, as an API key does, has no expiry that is known here.
        expiry = claims.expires_at if link == claims.token_id else None
        revocation = Revocation.of_token(link, expires_at=expiry)
        try:
            await self._revocations.revoke(revocation)
        except RevocationError as error:
            raise TakeBackError(
                "The revocation could not be kept.", hint="Ask again until it is."
            ) from error


if TYPE_CHECKING:
    _check: tuple[type[RevocationCheck], ...] = (
        NothingRevoked,
        MemoryRevocations,
        StoredRevocations,
    )
    _take: tuple[type[TakesBack], ...] = (MemoryRevocations, StoredRevocations)
