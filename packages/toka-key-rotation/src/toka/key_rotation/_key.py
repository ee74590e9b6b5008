"""The keys: HS256, EdDSA (Ed25519) and ES256 (P-256), each made of 32 secret bytes.

A key is a plain class and no attrs value: `asdict` or a generated `repr` would hand the secret out.
"""

from __future__ import annotations

import enum
import hashlib
import hmac
import secrets
from functools import cached_property
from typing import TYPE_CHECKING, Final, NoReturn, final

from toka.capability.core import encode_base64url
from toka.key_rotation._errors import InvalidKeyRingError
from toka.types import canonical

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SECRET_BYTES: Final = 32
_SIGNATURE_BYTES: Final = 64
_P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class KeyAlgorithm(enum.Enum):
    """What a key signs with; the values are those of JOSE."""

    HS256 = "HS256"
    """HMAC: whoever verifies can sign. Never published."""
    EDDSA = "EdDSA"
    ES256 = "ES256"

    @property
    def is_symmetric(self) -> bool:
        """Whether the same secret signs and verifies."""
        return self is KeyAlgorithm.HS256


@final
class RingKey:
    """A secret, what it signs with, and its public name.

    Neither `repr` nor pickling nor an error ever shows the secret; `unsafe_secret` does.
    """

    # No __slots__: cached properties need a place.

    def __init__(self, algorithm: KeyAlgorithm, secret: bytes) -> None:
        """Make a key of 32 bytes from a good source of randomness.

        Raises:
            InvalidKeyRingError: They are not 32 bytes, or no private key of the curve.
        """
        if len(secret) != SECRET_BYTES or len(set(secret)) < SECRET_BYTES // 4:
            raise InvalidKeyRingError("A key is made of 32 random bytes.")
        is_curve = algorithm is KeyAlgorithm.ES256
        if is_curve and not 0 < int.from_bytes(secret, "big") < _P256_ORDER:
            raise InvalidKeyRingError("The bytes are no private key of P-256.")
        self.__secret = secret
        self._algorithm = algorithm

    @classmethod
    def generate(cls, algorithm: KeyAlgorithm) -> RingKey:
        """Make a key of fresh random bytes."""
        secret = secrets.token_bytes(SECRET_BYTES)
        if algorithm is KeyAlgorithm.ES256:
            # FIPS 186-5, A.2.1: of so many surplus bits the remainder is uniform enough.
            surplus = int.from_bytes(secrets.token_bytes(SECRET_BYTES + 8), "big")
            secret = (surplus % (_P256_ORDER - 1) + 1).to_bytes(SECRET_BYTES, "big")
        return cls(algorithm, secret)

    @property
    def algorithm(self) -> str:
        """As in the `alg` of a JOSE header."""
        return self._algorithm.value

    @property
    def kind(self) -> KeyAlgorithm:
        """The algorithm as a member."""
        return self._algorithm

    @cached_property
    def kid(self) -> str:
        """The key's public name: its JWK thumbprint (RFC 7638)."""
        jwk = self.public_jwk() or {"k": encode_base64url(self.__secret), "kty": "oct"}
        return thumbprint(jwk)

    def public_jwk(self) -> dict[str, str] | None:
        """Return the required members of the public JWK; None for a symmetric key."""
        if self._algorithm is KeyAlgorithm.EDDSA:
            point = self._ed25519.public_key().public_bytes_raw()
            return {"crv": "Ed25519", "kty": "OKP", "x": encode_base64url(point)}
        if self._algorithm is KeyAlgorithm.ES256:
            numbers = self._p256.public_key().public_numbers()
            x, y = (encode_base64url(n.to_bytes(32, "big")) for n in (numbers.x, numbers.y))
            return {"crv": "P-256", "kty": "EC", "x": x, "y": y}
        return None

    def sign(self, message: bytes) -> bytes:
        """Return the signature of a message, in the form that JOSE gives it (RFC 7518, 8037)."""
        if self._algorithm is KeyAlgorithm.HS256:
            return hmac.digest(self.__secret, message, "sha256")
        if self._algorithm is KeyAlgorithm.EDDSA:
            return self._ed25519.sign(message)
        return self._sign_p256(message)

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Say whether a signature is that of a message."""
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - see _ed25519

        if self._algorithm is KeyAlgorithm.HS256:
            return hmac.compare_digest(self.sign(message), signature)
        if len(signature) != _SIGNATURE_BYTES:
            return False
        try:
            if self._algorithm is KeyAlgorithm.EDDSA:
                self._ed25519.public_key().verify(signature, message)
            else:
                self._verify_p256(message, signature)
        except InvalidSignature:
            return False
        return True

    def unsafe_secret(self) -> bytes:
        """Return the secret, for whoever keeps it or hands it to a signer. Never log or send it."""
        return self.__secret

    @cached_property
    def _ed25519(self) -> Ed25519PrivateKey:
        # cryptography takes 50 ms to import, and a ring of symmetric keys in memory never needs it.
        from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415 - see above

        return ed25519.Ed25519PrivateKey.from_private_bytes(self.__secret)

    @cached_property
    def _p256(self) -> EllipticCurvePrivateKey:
        from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415 - see _ed25519

        return ec.derive_private_key(int.from_bytes(self.__secret, "big"), ec.SECP256R1())

    def _sign_p256(self, message: bytes) -> bytes:
        from cryptography.hazmat.primitives import hashes  # noqa: PLC0415 - see _ed25519
        from cryptography.hazmat.primitives.asymmetric import ec, utils  # noqa: PLC0415 - see above

        encoded = self._p256.sign(message, ec.ECDSA(hashes.SHA256()))
        r, s = utils.decode_dss_signature(encoded)
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def _verify_p256(self, message: bytes, signature: bytes) -> None:
        from cryptography.hazmat.primitives import hashes  # noqa: PLC0415 - see _ed25519
        from cryptography.hazmat.primitives.asymmetric import ec, utils  # noqa: PLC0415 - see above

        r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
        encoded = utils.encode_dss_signature(r, s)
        self._p256.public_key().verify(encoded, message, ec.ECDSA(hashes.SHA256()))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RingKey):
            return NotImplemented
        same = hmac.compare_digest(self.__secret, other.__secret)
        return same and self._algorithm is other._algorithm

    def __hash__(self) -> int:
        return hash(self.kid)

    def __repr__(self) -> str:
        return f"<RingKey {self.algorithm} kid={self.kid}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("A key is neither pickled nor copied: its secret stays where it is.")


def thumbprint(jwk: dict[str, str]) -> str:
    """Return the SHA-256 thumbprint of a JWK's required members (RFC 7638, section 3)."""
    return encode_base64url(hashlib.sha256(canonical(jwk)).digest())
