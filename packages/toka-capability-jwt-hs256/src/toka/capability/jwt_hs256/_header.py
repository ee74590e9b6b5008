"""The protected header: three members and no others.

Whatever else a header may say (a key of its own, where to fetch one, what must be understood) is a
way to be told by a stranger how to check the stranger (RFC 8725, section 3.10).
"""

from __future__ import annotations

from typing import Final

from toka.capability.core import (
    Denial,
    TokenRefusedError,
    decode_base64url,
    encode_base64url,
    strict_json,
)
from toka.types import canonical

ALGORITHM: Final = "HS256"
TOKEN_TYPE: Final = "toka.cap+jwt"  # noqa: S105 - a media type, no secret
MAX_HEADER_BYTES: Final = 512
"""Longest header as it is in the token, that is encoded; joserfc has the same limit."""

_ALLOWED: Final = frozenset({"alg", "kid", "typ"})


def write_header(kid: str) -> str:
    """Return the encoded header of every token that key `kid` signs."""
    return encode_base64url(canonical({"alg": ALGORITHM, "kid": kid, "typ": TOKEN_TYPE}))


def read_kid(segment: str) -> str | None:
    """Check an encoded header and return the name of the key, or None where it names none.

    Raises:
        TokenRefusedError: It is not the header of a capability token under HS256.
    """
    if len(segment) > MAX_HEADER_BYTES:
        raise _refused(f"the header is over {MAX_HEADER_BYTES} bytes")
    try:
        data = decode_base64url(segment)
    except ValueError as error:
        raise _refused("the header is not canonical base64url") from error
    header = strict_json(data)
    if not isinstance(header, dict):
        raise _refused("the header is not an object")
    if not header.keys() <= _ALLOWED:
        raise _refused("the header holds more than alg, kid and typ")
    if header.get("alg") != ALGORITHM:
        raise _refused(f"alg is not {ALGORITHM}")
    if header.get("typ") != TOKEN_TYPE:
        raise _refused(f"typ is not {TOKEN_TYPE}")
    kid = header.get("kid")
    if "kid" in header and not isinstance(kid, str):
        raise _refused("kid is not text")
    return kid if isinstance(kid, str) else None


def _refused(rule: str) -> TokenRefusedError:
    return TokenRefusedError.of(Denial(code="capability.bad_header", rule=rule))
