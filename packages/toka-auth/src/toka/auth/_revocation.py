"""Whether a token that is genuine was taken back.

The authenticator remembers verified tokens, so a check says with a number when its answers may have
changed: the epoch. Revoking is one-way: nothing here, and nothing that implements the protocol, may
accept again what it once refused.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Protocol

from toka.capability.core import Denial

if TYPE_CHECKING:
    from toka.capability.core import Claims


class RevocationCheck(Protocol):
    """Knows which tokens were taken back."""

    @property
    def epoch(self) -> int:
        """A number that grows with every revocation, after the revocation shows in `denial`."""
        ...

    def denial(self, claims: Claims) -> Denial | None:
        """Say why a token with these claims was taken back, or None if it was not."""
        ...


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


if TYPE_CHECKING:
    _implement: tuple[type[RevocationCheck], ...] = (NothingRevoked, MemoryRevocations)
