"""Links that sign a person in: each works once, for some minutes, and holds no token."""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING, Final

import attrs

from toka.types import NANOSECONDS

if TYPE_CHECKING:
    from toka.types import Clock

SIGN_IN: Final = "/ui/login"
LIFETIME_SECONDS: Final = 600
MAX_LINKS: Final = 64
"""Links that wait to be used; of more, the oldest ceases to work."""


@attrs.frozen
class _Link:
    token: str = attrs.field(repr=False)
    ends: int
    """On the monotonic clock."""


class SignInLinks:
    """Hands out links, in the memory of one process: none works after a restart."""

    def __init__(self, clock: Clock, *, lifetime_seconds: int = LIFETIME_SECONDS) -> None:
        self._clock = clock
        self._lifetime = lifetime_seconds * NANOSECONDS
        self._links: dict[bytes, _Link] = {}

    def link(self, base_url: str, token: str) -> str:
        """Return an address that signs whoever opens it first in with a token.

        The code is in the fragment, which browsers send to nobody: it is in no log of a server or
        a proxy and in no Referer, and a program that looks at links before people do cannot use
        it up.

        Args:
            base_url: Scheme, host and port of the service as the browser sees them.
            token: What the session will be able to do.
        """
        code = secrets.token_urlsafe(24)
        while len(self._links) >= MAX_LINKS:
            del self._links[next(iter(self._links))]
        self._links[_digest(code)] = _Link(token, self._clock.monotonic() + self._lifetime)
        return f"{base_url.rstrip('/')}{SIGN_IN}#{code}"

    def redeem(self, code: str) -> str:
        """Return the token behind a code and forget it; empty if there is none, or no longer."""
        link = self._links.pop(_digest(code), None)
        return link.token if link is not None and self._clock.monotonic() < link.ends else ""


def _digest(code: str) -> bytes:
    # Looked up by digest, so that how long it takes says nothing about any code.
    return hashlib.sha256(code.encode(errors="replace")).digest()
