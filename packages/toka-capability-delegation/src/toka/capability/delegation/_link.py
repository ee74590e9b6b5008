"""One hop: who hands the token to whom, and what is held back."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import attrs

from toka.capability.core import (
    Caveat,
    Denial,
    InvalidClaimsError,
    decode_base64url,
    decode_caveats,
    encode_base64url,
    encode_caveats,
    strict_json,
)
from toka.capability.delegation._chain import malformed
from toka.types import CanonicalEncodingError, canonical

if TYPE_CHECKING:
    from toka.types import Json, JsonObject

_NAMES: Final = ("iss", "sub", "jti")
_NONCE: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


@attrs.frozen
class Link:
    """What a hop says."""

    delegator: str
    """Who handed the token on; the subject of what came before."""
    delegatee: str
    """Who it was handed to."""
    nonce: str
    """Tells apart what the same delegator gave to the same delegatee twice."""
    caveats: tuple[Caveat, ...] = ()

    def encode(self) -> str:
        """Return the hop as it stands in a token.

        Raises:
            InvalidClaimsError: Two caveats restrict one thing, or a value cannot be written.
        """
        if not _NONCE.fullmatch(self.nonce):
            raise _invalid("the nonce of a hop is not 1 to 64 characters of base64url")
        wire: dict[str, Json] = {
            **encode_caveats(self.caveats),
            "iss": self.delegator,
            "sub": self.delegatee,
            "jti": self.nonce,
        }
        try:
            return encode_base64url(canonical(wire))
        except CanonicalEncodingError as error:
            raise _invalid(error.message) from error

    @classmethod
    def decode(cls, hop: str) -> Link:
        """Read a hop as it stands in a token.

        Raises:
            TokenRefusedError: It is not well-formed, or holds a caveat that is not known.
        """
        try:
            data = decode_base64url(hop)
        except ValueError as error:
            raise malformed("a hop is not canonical base64url") from error
        wire = strict_json(data)
        if not isinstance(wire, dict):
            raise malformed("a hop is not an object")
        members: JsonObject = wire
        delegator, delegatee, nonce = [_text(members, name) for name in _NAMES]
        if not _NONCE.fullmatch(nonce):
            raise malformed("the nonce of a hop is not 1 to 64 characters of base64url")
        caveats = {name: value for name, value in members.items() if name not in _NAMES}
        return cls(delegator, delegatee, nonce, decode_caveats(caveats))


def _text(members: JsonObject, name: str) -> str:
    value = members.get(name)
    if not isinstance(value, str):
        raise malformed(f"{name} of a hop is missing, or not text")
    return value


def _invalid(rule: str) -> InvalidClaimsError:
    return InvalidClaimsError.of(Denial(code=InvalidClaimsError.default_code, rule=rule))
