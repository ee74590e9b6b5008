"""The shared secret that signs and verifies tokens.

A key is a plain class and no attrs value: `asdict` or a generated `repr` would hand the secret out.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Final, NoReturn, final

from toka.capability.core import encode_base64url
from toka.capability.jwt_hs256._errors import InvalidKeyError

MIN_KEY_BYTES: Final = 32
"""RFC 7518, section 3.2: a key is at least as long as the hash."""
MAX_KEY_BYTES: Final = 4_096
MIN_DISTINCT_BYTES: Final = 8
"""Fewer different byte values than in 32 random bytes, or 64 hexadecimal digits, ever occur."""

_OPENSSH: Final = (b"ssh-", b"ecdsa-sha2-", b"sk-ssh-", b"sk-ecdsa-")
_SHORTEST_PUBLIC_KEY: Final = 44
"""Bytes of an Ed25519 public key in DER. Random keys are shorter, and never mistaken for one."""
_DER_SEQUENCE: Final = 0x30
_DER_INTEGER: Final = 0x02
_LONG_LENGTH: Final = 0x80


@final
class Hs256Key:
    """A secret of 32 bytes or more, and its public name.

    Neither `repr` nor pickling nor an error ever shows the secret; `unsafe_secret` does.
    """

    __slots__ = ("__secret", "_kid")

    def __init__(self, secret: bytes) -> None:
        self.__secret = _checked(secret)
        self._kid = _thumbprint(self.__secret)

    @classmethod
    def from_bytes(cls, secret: bytes) -> Hs256Key:
        """Make a key of bytes that come from a good source of randomness.

        Raises:
            InvalidKeyError: They are fewer than 32, regular, or a key of another kind (PEM, DER,
                OpenSSH, JWK), which somebody may know.
        """
        return cls(secret)

    @classmethod
    def generate(cls) -> Hs256Key:
        """Make a key of 32 fresh random bytes."""
        return cls(secrets.token_bytes(MIN_KEY_BYTES))

    @property
    def kid(self) -> str:
        """The key's public name: its JWK thumbprint (RFC 7638)."""
        return self._kid

    def sign(self, message: bytes) -> bytes:
        """Return the HMAC-SHA-256 of `message`."""
        return hmac.digest(self.__secret, message, "sha256")

    def unsafe_secret(self) -> bytes:
        """Return the secret, for whoever keeps it on disk. Never log or send it."""
        return self.__secret

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Hs256Key):
            return NotImplemented
        return hmac.compare_digest(self.__secret, other.__secret)

    def __hash__(self) -> int:
        return hash(self._kid)

    def __repr__(self) -> str:
        return f"<Hs256Key kid={self._kid}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("A key is neither pickled nor copied: its secret stays where it is.")


def _thumbprint(secret: bytes) -> str:
    # Publishing the hash of a secret is safe only where nobody can guess it (RFC 7638, section 7):
    # one more reason to refuse keys that are short or regular.
    jwk = f'{{"k":"{encode_base64url(secret)}","kty":"oct"}}'
    return encode_base64url(hashlib.sha256(jwk.encode("ascii")).digest())


def _checked(secret: object) -> bytes:
    if not isinstance(secret, bytes):
        raise InvalidKeyError(f"A key is made of bytes, not of {type(secret).__name__}.")
    if not MIN_KEY_BYTES <= len(secret) <= MAX_KEY_BYTES:
        raise InvalidKeyError(
            f"A key has {MIN_KEY_BYTES} to {MAX_KEY_BYTES} bytes, not {len(secret)}.",
            hint="Generate one.",
        )
    if _repeats(secret) or len(set(secret)) < MIN_DISTINCT_BYTES:
        raise InvalidKeyError("The key is too regular to be secret.", hint="Generate one.")
    if _is_encoded_key(secret):
        raise InvalidKeyError(
            "The bytes are a key of another kind, which may be public.",
            hint="HMAC takes random bytes, not PEM, DER, OpenSSH or JWK.",
        )
    return secret


def _repeats(secret: bytes) -> bool:
    periods = range(1, len(secret) // 2 + 1)
    return any(secret.startswith(secret[period:]) for period in periods)


def _is_encoded_key(secret: bytes) -> bool:
    text = secret.strip()
    if text.startswith(b"{") and b'"kty"' in text:
        return True
    if len(secret) < _SHORTEST_PUBLIC_KEY:
        return False
    return b"-----BEGIN" in secret or text.startswith(_OPENSSH) or _is_der(secret)


def _is_der(secret: bytes) -> bool:
    """Recognise a SEQUENCE that spans the bytes and starts as keys and certificates do (X.690)."""
    if secret[0] != _DER_SEQUENCE:
        return False
    length, start = secret[1], 2
    if length >= _LONG_LENGTH:
        start += length - _LONG_LENGTH
        length = int.from_bytes(secret[2:start], "big")
    return start + length == len(secret) and secret[start] in (_DER_SEQUENCE, _DER_INTEGER)
