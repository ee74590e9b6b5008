"""Checking: a text becomes claims only if nothing about it is doubtful.

Order: type, length, shape, header, key, signature, and only then the claims, so that a stranger
never gets further than one HMAC over 8,192 bytes.

*Two ways to verify, one answer.* A header is an encoded text that repeats in every token of an
issuer. One that is new here is parsed, judged, and the token verified by joserfc; if the signature
is right, the text is remembered with its key. A token that starts with a remembered text needs no
parsing of headers and no registry of algorithms, only one HMAC, compared in constant time as text,
so that of the spellings of a last character only the canonical one is equal. The headers that our
own issuer writes are remembered from the start. What is decided by memory is thus, byte for byte,
what was decided by parsing; a differential test holds the two together.

Why: for a token of 380 bytes `joserfc.jwt.decode` with a check of `exp` takes 17 us of CPU (one
core, CPython 3.11) and this validator 10.5 us: 1.5 for the HMAC, 1.8 for strict JSON, 4 for types,
limits and times of the claims. With joserfc under the same checks it is 39.
"""

from __future__ import annotations

import re
from hmac import compare_digest
from typing import TYPE_CHECKING, Final

from toka.capability.core import (
    MAX_LEEWAY_SECONDS,
    NO_EXTENSIONS,
    Denial,
    SteadyTime,
    TokenRefusedError,
    check_limits,
    check_moment,
    decode_base64url,
    decode_claims,
    encode_base64url,
)
from toka.capability.jwt_hs256._header import ALGORITHM, read_kid, write_header
from toka.types import MAX_TOKEN_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from toka.capability.core import Claims, ExtensionRule, RootValidator
    from toka.capability.jwt_hs256._key import Hs256Key
    from toka.types import Clock

MAX_REMEMBERED_HEADERS: Final = 64

# A signature of 32 bytes is 43 characters; each class excludes the dot, so matching is linear.
_SHAPE: Final = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]{43})")


class JwtHs256Validator:
    """Validates capability tokens under any of several keys.

    A token without a key's name is accepted only where there is one key: trying several would let
    a token choose.
    """

    __slots__ = ("_audience", "_extensions", "_headers", "_keys", "_leeway", "_time")

    def __init__(
        self,
        keys: Iterable[Hs256Key],
        clock: Clock,
        leeway_seconds: int = 0,
        *,
        audience: str | None = None,
        extensions: Mapping[str, ExtensionRule] = NO_EXTENSIONS,
    ) -> None:
        """Prepare to validate.

        Args:
            keys: All that may sign.
            clock: Tells the time.
            leeway_seconds: How far the clocks of issuer and validator may differ, at most 60.
            audience: Who we are. A token for somebody else is refused; without a name of our own,
                a token that names an audience is not for us (RFC 7519, section 4.1.3).
            extensions: Caveats of somebody else's that are known here, by name.

        Raises:
            ValueError: There is no key, or the leeway is out of range.
        """
        self._keys = {key.kid: key for key in keys}
        if not self._keys:
            raise ValueError("A validator needs a key.")
        if not 0 <= leeway_seconds <= MAX_LEEWAY_SECONDS:
            raise ValueError(f"A leeway is 0 to {MAX_LEEWAY_SECONDS} seconds.")
        self._headers = {write_header(kid): key for kid, key in self._keys.items()}
        self._time = SteadyTime(clock)
        self._leeway = leeway_seconds
        self._audience = audience
        self._extensions = extensions

    def validate(self, token: str) -> Claims:
        """Return what `token` says, if it is genuine and valid now.

        Raises:
            TokenRefusedError: It is not. The reason is for the audit, not for the caller.
        """
        key, payload = self._verified(token)
        return self._judged(payload, key)

    def unsafe_signature(self, signed: str) -> bytes:
        """Return the signature that belongs to `header.payload`; whoever has it has the token.

        For formats that begin with a token and keep its signature secret, as
        toka-capability-delegation does. Nobody has vouched for `signed` yet.

        Raises:
            TokenRefusedError: The header is not one of ours, or names no key that is known.
        """
        return self._key_for(signed.partition(".")[0]).sign(signed.encode("ascii"))

    def unsafe_claims(self, signed: str) -> Claims:
        """Return what `header.payload` says, judged as `validate` judges it, but not verified.

        For whoever has verified it by what `unsafe_signature` returned.

        Raises:
            TokenRefusedError: It is not valid now, or not well-formed.
        """
        header, _, payload = signed.partition(".")
        return self._judged(payload, self._key_for(header))

    def _judged(self, payload: str, key: Hs256Key) -> Claims:
        try:
            data = decode_base64url(payload)
        except ValueError as error:
            raise _refused("malformed", "the payload is not canonical base64url") from error
        claims = decode_claims(data, key_id=key.kid)
        check_limits(claims)
        self.judge(claims)
        return claims

    def judge(self, claims: Claims) -> None:
        """Check that claims which are within all limits hold now, and for us.

        Raises:
            TokenRefusedError: They do not.
        """
        check_moment(
            claims,
            self._time.seconds(),
            leeway_seconds=self._leeway,
            extensions=self._extensions,
        )
        if claims.audience and self._audience not in claims.audience:
            raise _refused("wrong_audience", "the token is for another audience")
        if self._audience is not None and not claims.audience:
            raise _refused("wrong_audience", "the token names no audience")

    def _verified(self, token: object) -> tuple[Hs256Key, str]:
        if not isinstance(token, str) or len(token) > MAX_TOKEN_BYTES:
            raise _refused("malformed", f"the token is no text of up to {MAX_TOKEN_BYTES} bytes")
        match = _SHAPE.fullmatch(token)
        if match is None:
            raise _refused("malformed", "the token is not three parts of base64url")
        header, payload, signature = match.groups()
        key = self._headers.get(header)
        if key is None:
            return self._verify_unfamiliar(token, header), payload
        expected = encode_base64url(key.sign(token[: match.end(2)].encode("ascii")))
        if not compare_digest(expected, signature):
            raise _refused("bad_signature", "the signature is wrong")
        return key, payload

    def _key_for(self, header: str) -> Hs256Key:
        key = self._headers.get(header)
        if key is not None:
            return key
        kid = read_kid(header)
        if kid is None and len(self._keys) == 1:
            (kid,) = self._keys
        key = self._keys.get(kid) if kid is not None else None
        if key is None:
            raise _refused("unknown_key", "the token names no key that is known")
        return key

    def _verify_unfamiliar(self, token: str, header: str) -> Hs256Key:
        """Verify a token whose header was not seen before, and remember the header."""
        key = self._key_for(header)
        try:
            decode_base64url(token[-43:])
        except ValueError as error:
            raise _refused("malformed", "the signature is not canonical base64url") from error
        _verify_with_joserfc(token, key)
        if len(self._headers) < MAX_REMEMBERED_HEADERS:
            self._headers[header] = key
        return key


def _verify_with_joserfc(token: str, key: Hs256Key) -> None:
    from joserfc import jws  # noqa: PLC0415 - 80 ms, and tokens of our own issuer never need it
    from joserfc.errors import JoseError  # noqa: PLC0415 - see above
    from joserfc.jwk import OctKey  # noqa: PLC0415 - see above

    secret = OctKey.import_key(key.unsafe_secret())
    try:
        jws.deserialize_compact(token, secret, algorithms=[ALGORITHM])
    except (JoseError, ValueError) as error:
        # The library's error may quote the token, so it is named here and not chained.
        rule = f"the signature is wrong ({type(error).__name__})"
        refusal = _refused("bad_signature", rule)
    else:
        return
    raise refusal


def _refused(code: str, rule: str) -> TokenRefusedError:
    return TokenRefusedError.of(Denial(code=f"capability.{code}", rule=rule))


if TYPE_CHECKING:
    _implements: type[RootValidator] = JwtHs256Validator
