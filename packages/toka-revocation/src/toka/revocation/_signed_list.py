"""A status list in a signed JWT with a time to live, for nodes that cannot ask.

Type `statuslist+jwt` of draft-ietf-oauth-status-list-12, section 5.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import attrs

from toka.capability.core import (
    TokenRefusedError,
    decode_base64url,
    encode_base64url,
    strict_json,
)
from toka.revocation._errors import StatusListError
from toka.revocation._status_list import StatusList
from toka.types import canonical

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toka.types import JsonObject

MAX_CHARACTERS: Final = 2**25
TOKEN_TYPE: Final = "statuslist+jwt"  # noqa: S105 - a media type, no secret


class StatusSigner(Protocol):
    """Signs lists. Keys of toka.key_rotation fit."""

    @property
    def kid(self) -> str:
        """The key's public name."""
        ...

    @property
    def algorithm(self) -> str:
        """As in JOSE: `EdDSA`, `ES256` or `HS256`."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Return the signature of a message."""
        ...


class StatusVerifier(Protocol):
    """Verifies lists. Keys of toka.key_rotation fit."""

    @property
    def algorithm(self) -> str:
        """As in JOSE; a list under another is refused."""
        ...

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Say whether a signature is that of a message."""
        ...


@attrs.frozen
class SignedStatusList:
    """A list whose signature was verified, and how long it may be used."""

    statuses: StatusList
    subject: str
    """The address of the list, as tokens refer to it."""
    issued_at: int
    usable_until: int
    """The first second at which it is too old: its expiry, or the end of its time to live."""


def sign_status_list(
    statuses: StatusList, signer: StatusSigner, *, subject: str, issued_at: int, ttl_seconds: int
) -> str:
    """Return a list as a signed JWT.

    Raises:
        StatusListError: The time to live is not positive.
    """
    if ttl_seconds < 1:
        raise StatusListError("A time to live is at least a second.")
    header = {"alg": signer.algorithm, "kid": signer.kid, "typ": TOKEN_TYPE}
    claims = {
        "exp": issued_at + ttl_seconds,
        "iat": issued_at,
        "status_list": {"bits": statuses.bits, "lst": statuses.encode()},
        "sub": subject,
        "ttl": ttl_seconds,
    }
    message = f"{encode_base64url(canonical(header))}.{encode_base64url(canonical(claims))}"
    return f"{message}.{encode_base64url(signer.sign(message.encode('ascii')))}"


def read_status_list(
    token: str, keys: Mapping[str, StatusVerifier], *, subject: str, now: int
) -> SignedStatusList:
    """Verify a signed list.

    Args:
        token: What the issuer published.
        keys: Verifiers by the names of their keys.
        subject: The address that was asked for; a list of another is refused.
        now: Seconds since the Unix epoch.

    Raises:
        StatusListError: It is malformed, wrongly signed, another's, or too old.
    """
    header, claims = _verified(token, keys)
    if header.get("typ") != TOKEN_TYPE or claims.get("sub") != subject:
        raise StatusListError("This is not the status list that was asked for.")
    issued, expires = claims.get("iat"), claims.get("exp")
    ttl, packed = claims.get("ttl"), claims.get("status_list")
    if type(issued) is not int or type(expires) is not int or type(ttl) is not int:
        raise StatusListError("A status list lacks iat, exp or ttl.")
    until = min(expires, issued + ttl)
    if not issued <= now < until:
        raise StatusListError("The status list is too old, or of the future.")
    members: JsonObject = packed if isinstance(packed, dict) else {}
    bits, text = members.get("bits"), members.get("lst")
    if type(bits) is not int or not isinstance(text, str):
        raise StatusListError("A status list holds no list.")
    return SignedStatusList(StatusList.decode(text, bits=bits), subject, issued, until)


def _verified(token: object, keys: Mapping[str, StatusVerifier]) -> tuple[JsonObject, JsonObject]:
    parts = token.split(".") if isinstance(token, str) and len(token) <= MAX_CHARACTERS else []
    try:
        header_text, claims_text, signature_text = parts
    except ValueError as error:
        raise StatusListError("The status list is no JWT.") from error
    header = _object(header_text)
    kid = header.get("kid")
    key = keys.get(kid) if isinstance(kid, str) else None
    # The key says which algorithm it is for; the header has no choice.
    if key is None or header.get("alg") != key.algorithm:
        raise StatusListError("The status list names no key that is known.")
    message = f"{header_text}.{claims_text}".encode("ascii", "replace")
    if not key.verify(message, _decoded(signature_text)):
        raise StatusListError("The signature of the status list is wrong.")
    return header, _object(claims_text)


def _object(text: str) -> JsonObject:
    try:
        value = strict_json(_decoded(text))
    except TokenRefusedError as error:
        raise StatusListError("The status list is not strict JSON.") from error
    if not isinstance(value, dict):
        raise StatusListError("A part of the status list is not an object.")
    return value


def _decoded(text: str) -> bytes:
    try:
        return decode_base64url(text)
    except ValueError as error:
        raise StatusListError("The status list is not canonical base64url.") from error
