"""Minting: claims that pass every check become a token, others become an error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toka.capability.core import (
    Denial,
    InvalidClaimsError,
    SteadyTime,
    encode_base64url,
    encode_claims,
    validate_for_issue,
)
from toka.capability.jwt_hs256._header import write_header
from toka.types import MAX_TOKEN_BYTES

if TYPE_CHECKING:
    from toka.capability.core import Claims, TokenIssuer
    from toka.capability.jwt_hs256._key import Hs256Key
    from toka.types import Clock


class JwtHs256Issuer:
    """Issues capability tokens under one key."""

    __slots__ = ("_header", "_key", "_time")

    def __init__(self, key: Hs256Key, clock: Clock) -> None:
        self._key = key
        self._time = SteadyTime(clock)
        self._header = write_header(key.kid) + "."

    def issue(self, claims: Claims) -> str:
        """Return a token that says `claims`.

        Raises:
            InvalidClaimsError: The claims break a limit, are not valid now, or make a token of
                more than 8,192 bytes; no token is made.
        """
        validate_for_issue(claims, self._time.seconds())
        signed = self._header + encode_base64url(encode_claims(claims))
        token = f"{signed}.{encode_base64url(self._key.sign(signed.encode('ascii')))}"
        if len(token) > MAX_TOKEN_BYTES:
            rule = f"the token has {len(token)} bytes, over {MAX_TOKEN_BYTES}"
            raise InvalidClaimsError.of(Denial(code="capability.token_too_large", rule=rule))
        return token


if TYPE_CHECKING:
    _implements: type[TokenIssuer] = JwtHs256Issuer
