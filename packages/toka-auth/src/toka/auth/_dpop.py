"""Proof of possession (RFC 9449): a token that was stolen on its way is worth nothing.

The client signs each request with a key of its own; the token says by thumbprint which key that is.
A proof names method, URL and token, is fresh, and counts once.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING, Final

from toka.auth._jose import CompactJws, PublicKey, refused
from toka.capability.core import SteadyTime, TokenRefusedError, encode_base64url

if TYPE_CHECKING:
    from toka.auth._presented import OnceCheck, Proof, ProofCheck
    from toka.capability.core import Claims, Denial
    from toka.types import Clock, Json

PROOF_TYPE: Final = "dpop+jwt"
PROOF_SECONDS: Final = 60
"""How old a proof may be, and how far in the future."""
NONCE_SECONDS: Final = 300
"""How long one nonce is given out; it is accepted for as long again."""
MAX_PROOF_BYTES: Final = 4_096
MAX_PROOF_ID_BYTES: Final = 128

_NONCE_SECRET_BYTES: Final = 32


class DpopNonces:
    """Nonces of this server (section 8): a proof cannot be made before one is given out.

    A nonce is the keyed hash of a stretch of time, so nothing is kept and every process with the
    same secret knows it. The one before still counts.
    """

    __slots__ = ("_secret", "_time")

    def __init__(self, clock: Clock, secret: bytes | None = None) -> None:
        """Prepare.

        Args:
            clock: Tells the time.
            secret: At least 32 random bytes, shared by all processes that accept the same proofs;
                fresh ones if left out.

        Raises:
            ValueError: The secret is too short.
        """
        if secret is not None and len(secret) < _NONCE_SECRET_BYTES:
            raise ValueError(f"The secret of nonces has at least {_NONCE_SECRET_BYTES} bytes.")
        self._secret = secrets.token_bytes(_NONCE_SECRET_BYTES) if secret is None else secret
        self._time = SteadyTime(clock)

    def current(self) -> str:
        """Return the nonce for the next proofs."""
        return self._at(self._stretch())

    def accepts(self, nonce: Json) -> bool:
        """Say whether `nonce` was given out lately."""
        stretch = self._stretch()
        text = nonce if isinstance(nonce, str) and nonce.isascii() else ""
        return any(hmac.compare_digest(text, self._at(each)) for each in (stretch, stretch - 1))

    def _stretch(self) -> int:
        return self._time.seconds() // NONCE_SECONDS

    def _at(self, stretch: int) -> str:
        digest = hmac.digest(self._secret, b"dpop-nonce %d" % stretch, "sha256")
        return encode_base64url(digest[:18])

    def __repr__(self) -> str:
        return "<DpopNonces>"


class DpopProofs:
    """Checks proofs of possession."""

    def __init__(self, clock: Clock, used: OnceCheck, *, nonces: DpopNonces | None = None) -> None:
        """Prepare to check.

        Args:
            clock: Tells the time.
            used: Remembers proofs; shared by all processes that accept the same tokens.
            nonces: Demands of every proof a nonce of this server; nothing is demanded if left out.
        """
        self._time = SteadyTime(clock)
        self._used = used
        self._nonces = nonces

    @property
    def nonce(self) -> str | None:
        """What to send as `DPoP-Nonce` with every answer; None where none is demanded."""
        return None if self._nonces is None else self._nonces.current()

    def denial(self, credential: str, claims: Claims, proof: Proof) -> Denial | None:
        """Say why the proof does not hold, or None if it does. A proof counts once."""
        try:
            self._check(credential, claims, proof)
        except TokenRefusedError as error:
            return error.denial
        return None

    def _check(self, credential: str, claims: Claims, proof: Proof) -> None:
        jws = CompactJws.parse(proof.text, limit=MAX_PROOF_BYTES, embedded_key=True)
        if jws.header.get("typ") != PROOF_TYPE:
            raise refused("bad_proof", f"typ is not {PROOF_TYPE}")
        key = _key(jws.header["jwk"])
        # The thumbprint is compared first: the signature of a stranger's key proves nothing.
        if not hmac.compare_digest(key.thumbprint, claims.holder or ""):
            raise refused("bad_proof", "the proof is under another key than the token")
        if not jws.is_signed_by(key):
            raise refused("bad_proof", "the signature of the proof is wrong")
        expected = {"htm": proof.method, "htu": proof.url, "ath": access_token_hash(credential)}
        for name, value in expected.items():
            if jws.payload.get(name) != value:
                raise refused("bad_proof", f"{name} of the proof is not that of the request")
        if self._nonces is not None and not self._nonces.accepts(jws.payload.get("nonce")):
            raise refused("bad_proof", "the proof has no nonce of ours that is of late")
        issued_at, proof_id = jws.payload.get("iat"), jws.payload.get("jti")
        self._check_fresh(issued_at)
        if not isinstance(proof_id, str) or not 0 < len(proof_id) <= MAX_PROOF_ID_BYTES:
            raise refused("bad_proof", "jti of the proof is missing or too long")
        until = self._time.seconds() + 2 * PROOF_SECONDS
        # Used up at the very end, and under its key: nobody can use up the proof of another.
        if not self._used.burn(f"dpop/{key.thumbprint}/{_digest(proof_id)}", until):
            raise refused("bad_proof", "the proof was used before")

    def _check_fresh(self, issued_at: Json) -> None:
        now = self._time.seconds()
        if type(issued_at) is not int or abs(now - issued_at) > PROOF_SECONDS:
            raise refused("bad_proof", f"the proof is not of the last {PROOF_SECONDS} seconds")


def access_token_hash(credential: str) -> str:
    """Return `ath`, which binds a proof to a token (RFC 9449, section 4.2)."""
    return encode_base64url(hashlib.sha256(credential.encode("ascii")).digest())


def _digest(text: str) -> str:
    return encode_base64url(hashlib.sha256(text.encode("utf-8", "replace")).digest())


def _key(jwk: Json) -> PublicKey:
    try:
        return PublicKey.from_jwk(jwk)
    except ValueError as error:
        raise refused("bad_proof", f"the key of the proof is refused: {error}") from error


if TYPE_CHECKING:
    _implements: type[ProofCheck] = DpopProofs
