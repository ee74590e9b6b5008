"""What was taken back, in memory, for one look-up per name.

A name is kept as 16 bytes of digest, so a million take a hundred megabytes. Two names of one digest
could only refuse one token too many.

Forgetting is bounded by a *floor*: the latest expiry of anything that was forgotten. A token that
expires at the floor or before is refused whether or not it is known, so setting the clock back
revives nothing.
"""

from __future__ import annotations

import hashlib
import threading
from typing import TYPE_CHECKING, Final

from toka.capability.core import Denial
from toka.revocation._errors import InvalidRevocationError
from toka.revocation._revocation import MARGIN_SECONDS, NEVER, Kind, canonical_id
from toka.types import MAX_TOKEN_LIFETIME_SECONDS

if TYPE_CHECKING:
    from toka.capability.core import Claims
    from toka.revocation._revocation import Revocation

_ROUND_SECONDS: Final = 3_600


class RevocationIndex:
    """Answers for the revocations that it was told. Safe to use from several threads."""

    __slots__ = ("_cuts", "_floor", "_lock", "_shared", "_tokens")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tokens: dict[bytes, int] = {}
        """Digest of the identifier, and when it may be forgotten."""
        self._cuts: dict[bytes, int] = {}
        """Digest of a subject, a key or everything, and up to when what was issued is refused."""
        self._floor = 0
        self._shared: dict[int, int] = {}
        """One integer object for each hour: as objects of their own they would be 32 MB."""

    def __len__(self) -> int:
        """Return how many names are kept."""
        return len(self._tokens) + len(self._cuts)

    @property
    def floor(self) -> int:
        """Tokens that expire at this second or before are refused."""
        return self._floor

    def add(self, revocation: Revocation, revoked_at: int) -> None:
        """Take something back. Of two times the later holds."""
        key = _digest(revocation.kind, revocation.vault, revocation.target)
        with self._lock:
            if revocation.kind is Kind.TOKEN:
                hour = -(-revocation.forgettable_at(revoked_at) // _ROUND_SECONDS)
                forgettable = self._shared.setdefault(hour, hour * _ROUND_SECONDS)
                self._tokens[key] = max(forgettable, self._tokens.get(key, 0))
            else:
                until = NEVER if revocation.until is None else revocation.until
                self._cuts[key] = max(until, self._cuts.get(key, 0))

    def find(self, claims: Claims) -> Denial | None:
        """Say why a token with these claims is refused, or None if it is not."""
        if claims.expires_at <= self._floor:
            return _denial("the token expired before what is remembered of revocations")
        try:
            for hop, token_id in enumerate(_token_ids(claims)):
                if _digest(Kind.TOKEN, "", canonical_id(token_id)) in self._tokens:
                    return _denial("the token was revoked", hop if claims.chain else None)
        except InvalidRevocationError:
            # What cannot be named could not have been revoked either, and must not profit from it.
            return _denial("the token's identifier cannot be revoked")
        return self._find_cut(claims) if self._cuts else None

    def forget(self, now: int) -> int:
        """Forget what concerns no token that could still be valid, and return how many."""
        with self._lock:
            tokens = [key for key, when in self._tokens.items() if when <= now]
            cuts = [key for key, until in self._cuts.items() if _over(until) <= now]
            # The floor first: in between, a reader must find the one or the other.
            if tokens or cuts:
                self._floor = max(self._floor, now - MARGIN_SECONDS)
            for key in tokens:
                del self._tokens[key]
            for key in cuts:
                del self._cuts[key]
        return len(tokens) + len(cuts)

    def raise_floor(self, floor: int) -> None:
        """Take note of what was forgotten elsewhere."""
        self._floor = max(self._floor, floor)

    def _find_cut(self, claims: Claims) -> Denial | None:
        if self._cut(claims, Kind.EVERYTHING, "", "*"):
            return _denial("all tokens of its time were revoked")
        if claims.key_id is not None and self._cut(claims, Kind.KEY, "", claims.key_id):
            return _denial("the tokens of its key were revoked")
        for hop, subject in enumerate(_subjects(claims)):
            if self._cut(claims, Kind.SUBJECT, claims.vault, subject):
                rule = "the subject's tokens were revoked"
                return _denial(rule, hop if claims.chain else None)
        return None

    def _cut(self, claims: Claims, kind: Kind, vault: str, target: str) -> bool:
        until = self._cuts.get(_digest(kind, vault, target))
        return until is not None and claims.issued_at <= until


def _token_ids(claims: Claims) -> list[str]:
    """Return the links from the root to the token; each takes what is behind it along."""
    links = [hop.token_id for hop in claims.chain]
    return links if claims.token_id in links else [*links, claims.token_id]


def _subjects(claims: Claims) -> list[str]:
    subjects = [hop.subject for hop in claims.chain]
    return subjects if claims.subject in subjects else [*subjects, claims.subject]


def _digest(kind: Kind, vault: str, target: str) -> bytes:
    # A NUL occurs in no name, so no two triples give one text.
    text = f"{kind.value}\0{vault}\0{target}"
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _over(until: int) -> int:
    return until + MAX_TOKEN_LIFETIME_SECONDS + MARGIN_SECONDS


def _denial(rule: str, hop: int | None = None) -> Denial:
    return Denial(code="capability.revoked", rule=rule, hop=hop)
