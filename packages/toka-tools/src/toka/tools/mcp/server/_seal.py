"""State that travels through the client between two rounds of one call, sealed against it.

MCP 2026-07-28, multi round-trip requests: the state is bound to who asked, to what was asked and to
an end, and authenticated by HMAC-SHA-256. It is not secret: it holds what the client itself said,
and the key under which every round of the call acts once. It may be presented twice within its
time; what must happen once must honour the idempotency key.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from typing import Final

import msgspec

from toka.tools.mcp._errors import INVALID_PARAMS, ProtocolError
from toka.types import NANOSECONDS, Clock, Json

MAX_STATE_BYTES: Final = 1 << 20
LIFETIME_SECONDS: Final = 900

_TAG_BYTES: Final = 32


class RoundState(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What one round hands to the next."""

    principal: str
    request: bytes
    """Digest of the method and what it is about."""
    until: int
    """The second since the Unix epoch at which it is no longer accepted."""
    idempotency_key: str
    answers: dict[str, object]


class Seal:
    """Seals states, and opens those that were sealed with the same key."""

    __slots__ = ("_clock", "_decoder", "_key")

    def __init__(self, clock: Clock, key: bytes | None = None) -> None:
        """Make a seal.

        Args:
            clock: Tells when a state is too old.
            key: At least 32 secret bytes, the same on every server that may get a later round of a
                call; otherwise one of its own.

        Raises:
            ValueError: The key is too short.
        """
        if key is not None and len(key) < _TAG_BYTES:
            raise ValueError(f"A key has at least {_TAG_BYTES} bytes.")
        self._key = key if key is not None else secrets.token_bytes(_TAG_BYTES)
        self._clock = clock
        self._decoder = msgspec.json.Decoder(RoundState)

    def close(
        self, principal: str, request: bytes, idempotency_key: str, answers: dict[str, Json]
    ) -> str:
        """Return a sealed state."""
        until = self._clock.now() // NANOSECONDS + LIFETIME_SECONDS
        state = RoundState(principal, request, until, idempotency_key, {**answers})
        body = msgspec.json.encode(state)
        return base64.urlsafe_b64encode(self._tag(body) + body).decode()

    def open(self, sealed: Json, principal: str, request: bytes) -> RoundState:
        """Return the state that was sealed for this principal and request.

        Raises:
            ProtocolError: It was not, or too long ago; the error does not say which.
        """
        body = self._body(sealed)
        if body is not None:
            state = self._decoder.decode(body)
            mine = (state.principal, state.request) == (principal, request)
            if mine and self._clock.now() // NANOSECONDS < state.until:
                return state
        raise ProtocolError("The requestState is not accepted.", INVALID_PARAMS)

    def _body(self, sealed: Json) -> bytes | None:
        if not isinstance(sealed, str) or len(sealed) > MAX_STATE_BYTES or not sealed.isascii():
            return None
        try:
            raw = base64.b64decode(sealed, altchars=b"-_", validate=True)
        except binascii.Error:
            return None
        tag, body = raw[:_TAG_BYTES], raw[_TAG_BYTES:]
        return body if hmac.compare_digest(tag, self._tag(body)) else None

    def _tag(self, body: bytes) -> bytes:
        return hmac.digest(self._key, body, "sha256")


def request_digest(method: str, about: str, arguments: Json) -> bytes:
    """Return what tells this request from any other that a state might be presented with."""
    text = msgspec.json.encode([method, about, arguments], order="deterministic")
    return hashlib.blake2b(text, digest_size=24).digest()
