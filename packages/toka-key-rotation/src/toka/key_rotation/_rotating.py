"""Issuers and validators that follow a ring, for any token format.

They are made anew whenever the ring changed, by a function that the caller gives. A token whose key
is not known here may be of a key that another process just made: the ring is looked at once, at
most once a second, and if it changed the token is tried again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from toka.capability.core import Denial, TokenRefusedError, decode_base64url, strict_json
from toka.key_rotation._audit import AuditKind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from toka.capability.core import Claims, TokenIssuer, TokenValidator
    from toka.key_rotation._key import RingKey
    from toka.key_rotation._key_ring import KeyRing

_MAX_HEADER_CHARACTERS: Final = 512
_MAX_KID_CHARACTERS: Final = 64


class RotatingIssuer:
    """Issues under the key that signs now."""

    __slots__ = ("_build", "_built", "_ring")

    def __init__(self, ring: KeyRing, build: Callable[[RingKey], TokenIssuer]) -> None:
        """Prepare to issue.

        Args:
            ring: Knows the key.
            build: Makes an issuer of a key.
        """
        self._ring = ring
        self._build = build
        self._built: tuple[RingKey, TokenIssuer] | None = None

    def issue(self, claims: Claims) -> str:
        """Return a token that says `claims`.

        Raises:
            InvalidClaimsError: The claims break a limit; no token is made.
            NoSigningKey: No key may sign now.
            KeyStoreError: The ring could not be read for too long.
        """
        key = self._ring.signing_key()
        built = self._built
        if built is None or built[0] is not key:
            built = self._built = (key, self._build(key))
        return built[1].issue(claims)


class RotatingValidator:
    """Validates under every key that verifies now."""

    __slots__ = ("_build", "_built", "_ring")

    def __init__(self, ring: KeyRing, build: Callable[[Sequence[RingKey]], TokenValidator]) -> None:
        """Prepare to validate.

        Args:
            ring: Knows the keys.
            build: Makes a validator of at least one key.
        """
        self._ring = ring
        self._build = build
        self._built: tuple[tuple[RingKey, ...], TokenValidator] | None = None

    def validate(self, token: str) -> Claims:
        """Return what `token` says, if it is genuine and valid now.

        Raises:
            TokenRefusedError: It is not. The reason is for the audit, not for the caller.
            KeyStoreError: The ring could not be read for too long.
        """
        try:
            return self._validator().validate(token)
        except TokenRefusedError as error:
            refusal = error
        kid = _kid_of(token)
        known = self._ring.find(kid) if kid is not None else None
        if kid is not None and known is None and self._ring.refresh():
            return self._validator().validate(token)
        if known is not None and not known.verifies:
            rule = f"the token's key is {known.state.value}"
            self._ring.tell(AuditKind.SECURITY_ALERT, known, reason=rule)
            raise TokenRefusedError.of(
                Denial(code="capability.unknown_key", rule=rule)
            ) from refusal
        if known is not None:
            self._ring.tell(AuditKind.KEY_VALIDATION, known, reason=refusal.denial.code)
        raise refusal

    def _validator(self) -> TokenValidator:
        keys = self._ring.verification_keys()
        built = self._built
        if built is None or len(built[0]) != len(keys) or any(map(_differ, built[0], keys)):
            built = self._built = (keys, self._build(keys))
        return built[1]


def _differ(one: RingKey, other: RingKey) -> bool:
    # By identity: a ring that was read anew costs one more building, and nothing is hashed here.
    return one is not other


def _kid_of(token: object) -> str | None:
    """Return the key's name as a token claims it, or None where it names none that could be."""
    if not isinstance(token, str):
        return None
    header = token[: _MAX_HEADER_CHARACTERS + 1].partition(".")[0]
    if len(header) > _MAX_HEADER_CHARACTERS:
        return None
    try:
        value = strict_json(decode_base64url(header))
    except (ValueError, TokenRefusedError):
        return None
    kid = value.get("kid") if isinstance(value, dict) else None
    return kid if isinstance(kid, str) and len(kid) <= _MAX_KID_CHARACTERS else None
