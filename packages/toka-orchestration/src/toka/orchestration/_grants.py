"""Tokens for agents: what each spawn event granted, for a short time, again and again.

A run outlives a token. What lasts is the grant in the log; a token is the grant made presentable
for an hour, and the desk mints the next one before that hour ends.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import attrs

from toka.capability.core import Claims
from toka.types import NANOSECONDS, ulid

if TYPE_CHECKING:
    from collections.abc import Iterable

    from toka.capability.core import TokenIssuer
    from toka.types import AgentId, Clock

LIFETIME_SECONDS: Final = 3_600
OWN_PERMISSIONS: Final = 5
"""What the token of a run, or of an agent, says at most beside what was granted."""
VAULT: Final = "toka"
"""The vault that tokens are good for where nobody names another."""


@attrs.frozen
class _Minted:
    token: str = attrs.field(repr=False)
    renew_at: int
    """Seconds since the Unix epoch from which on another token is minted."""


class TokenDesk:
    """Mints tokens under the issuer's key, and renews them at half their life."""

    def __init__(
        self,
        issuer: TokenIssuer,
        clock: Clock,
        *,
        vault: str = VAULT,
        lifetime_seconds: int = LIFETIME_SECONDS,
    ) -> None:
        self._issuer = issuer
        self._clock = clock
        self._vault = vault
        self._lifetime = lifetime_seconds
        self._minted: dict[tuple[str, tuple[str, ...]], _Minted] = {}

    def mint(self, subject: str, permissions: Iterable[str]) -> str:
        """Return a fresh token.

        Raises:
            CapabilityError: The claims break a rule, an over-long permission for example.
        """
        now = self._clock.now()
        seconds = now // NANOSECONDS
        return self._issuer.issue(
            Claims(
                subject=subject,
                vault=self._vault,
                permissions=tuple(permissions),
                issued_at=seconds,
                expires_at=seconds + self._lifetime,
                token_id=ulid(now // 1_000_000, os.urandom(10)),
            )
        )

    def token_for(self, subject: str, permissions: tuple[str, ...]) -> str:
        """Return a token that has at least half of its life before it.

        Raises:
            CapabilityError: The claims break a rule.
        """
        key = (subject, permissions)
        minted = self._minted.get(key)
        seconds = self._clock.now() // NANOSECONDS
        if minted is None or seconds >= minted.renew_at:
            token = self.mint(subject, permissions)
            minted = self._minted[key] = _Minted(token, seconds + self._lifetime // 2)
        return minted.token

    def forget(self, subject: str) -> None:
        """Drop the tokens of an agent that has ended."""
        for key in [key for key in self._minted if key[0] == subject]:
            del self._minted[key]


def permissions_of_agent(agent: AgentId, granted: tuple[str, ...]) -> tuple[str, ...]:
    """Return what an agent's token says: what it was granted, and that it may act as itself."""
    return (*granted, f"agent:act:{agent}")


def permissions_of_family(root: AgentId, granted: tuple[str, ...]) -> tuple[str, ...]:
    """Return what the token of a run says: all that it may hand down, and control of its agents."""
    family = f"{root}/**"
    return (
        *granted,
        f"agent:spawn:{family}",
        f"agent:control:{family}",
        f"agent:act:{root}",
        f"agent:act:{family}",
        f"task:schedule:{family}",
    )
