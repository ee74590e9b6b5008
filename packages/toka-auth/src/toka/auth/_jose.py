"""Signatures of others, under public keys: RS256, ES256 and EdDSA, read as strictly as our own.

joserfc imports the keys and checks the signatures. What it lets through is refused before: names
that occur twice, other spellings of base64url, numbers that are no integers, short RSA keys, keys
meant for something else, and every header that says where or how to find the key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from toka.capability.core import (
    Denial,
    TokenRefusedError,
    decode_base64url,
    strict_json,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from joserfc.jwk import ECKey, OKPKey, RSAKey

    from toka.types import Json, JsonObject

MAX_HEADER_BYTES: Final = 4_096
MIN_RSA_BITS: Final = 2_048

_KINDS: Final = {"RS256": "RSA", "ES256": "EC", "EdDSA": "OKP", "Ed25519": "OKP"}
_PUBLIC_MEMBERS: Final = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}
_CURVES: Final = {"EC": "P-256", "OKP": "Ed25519"}
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
# A header that names a key tells the stranger how to check the stranger (RFC 8725, section 3.10).
_FORBIDDEN: Final = frozenset({"jku", "x5u", "x5c", "crit", "b64", "zip", "cty"})


@attrs.frozen
class CompactJws:
    """A signed text, taken apart; nobody has verified it yet."""

    header: JsonObject
    payload: JsonObject
    text: str = attrs.field(repr=False)

    @property
    def algorithm(self) -> str:
        """What the header says it was signed with: one of those that are known here."""
        return str(self.header["alg"])

    @property
    def kid(self) -> str | None:
        """The name of the key, if the header says one."""
        kid = self.header.get("kid")
        return kid if isinstance(kid, str) else None

    @classmethod
    def parse(cls, text: object, *, limit: int, embedded_key: bool = False) -> CompactJws:
        """Take a text apart.

        Args:
            text: What was presented.
            limit: Its greatest length.
            embedded_key: Whether the header must hold the key, as a proof of possession does.

        Raises:
            TokenRefusedError: It is not a signed text that can be read in one way only.
        """
        if not isinstance(text, str) or len(text) > limit or text.count(".") != 2:  # noqa: PLR2004 - three parts
            raise refused("malformed", f"it is no signed text of up to {limit} bytes")
        first, second, third = text.split(".")
        if len(first) > MAX_HEADER_BYTES:
            raise refused("bad_header", f"the header is over {MAX_HEADER_BYTES} bytes")
        header = _object(first)
        algorithm = header.get("alg")
        if not isinstance(algorithm, str) or algorithm not in _KINDS:
            raise refused("bad_header", "alg is none of RS256, ES256 and EdDSA")
        if not _FORBIDDEN.isdisjoint(header) or ("jwk" in header) is not embedded_key:
            raise refused("bad_header", "the header says how to find a key, or what to understand")
        _bytes(third)
        return cls(header, _object(second), text)

    def is_signed_by(self, key: PublicKey) -> bool:
        """Say whether the signature is right under `key`, and the algorithm is the key's."""
        if _KINDS[self.algorithm] != key.kind or key.algorithm not in (None, self.algorithm):
            return False
        if self.algorithm == "EdDSA":
            return _is_eddsa(self.text, key)
        from joserfc import jws  # noqa: PLC0415 - 80 ms, and not everybody has outside identities
        from joserfc.errors import JoseError  # noqa: PLC0415 - see above

        registry = jws.JWSRegistry(algorithms=[self.algorithm])
        registry.max_header_length = MAX_HEADER_BYTES
        try:
            jws.deserialize_compact(self.text, key.jose, registry=registry)
        except (JoseError, ValueError):
            return False
        return True


def _is_eddsa(text: str, key: PublicKey) -> bool:
    # The library warns of the name EdDSA, which RFC 9864 replaces and most issuers still write.
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - comes with joserfc
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415 - see above
        Ed25519PublicKey,
    )

    signed, _, signature = text.rpartition(".")
    public = Ed25519PublicKey.from_public_bytes(decode_base64url(key.members["x"]))
    try:
        public.verify(decode_base64url(signature), signed.encode("ascii"))
    except InvalidSignature:
        return False
    return True


@attrs.frozen
class PublicKey:
    """A key that verifies signatures and cannot make them."""

    members: Mapping[str, str]
    """What makes the key, `kty` included, and nothing else (RFC 7638, section 3.2)."""
    kid: str | None
    algorithm: str | None
    """The one algorithm it is for, if it says so."""
    jose: RSAKey | ECKey | OKPKey = attrs.field(eq=False, repr=False)

    @property
    def kind(self) -> str:
        """RSA, EC or OKP."""
        return self.members["kty"]

    @property
    def thumbprint(self) -> str:
        """The key's name by RFC 7638."""
        return self.jose.thumbprint()

    @classmethod
    def from_jwk(cls, jwk: Json) -> PublicKey:
        """Read a JSON Web Key (RFC 7517).

        Raises:
            ValueError: It is no public key for signatures of a kind that is known here.
        """
        if not isinstance(jwk, dict):
            raise ValueError("a key is not an object")  # noqa: TRY004 - a fault of the data
        found: JsonObject = jwk
        kind = found.get("kty")
        if not isinstance(kind, str) or kind not in _PUBLIC_MEMBERS:
            raise ValueError("a key is neither RSA nor EC nor OKP")
        if not _PRIVATE.isdisjoint(found):
            raise ValueError("a key that should be public holds a secret")
        _check_use(found)
        if kind in _CURVES and found.get("crv") != _CURVES[kind]:
            raise ValueError("the curve of a key is not P-256 or Ed25519")
        members = {"kty": kind} | {name: _member(found, name) for name in _PUBLIC_MEMBERS[kind]}
        if kind == "RSA" and _bits(members["n"]) < MIN_RSA_BITS:
            raise ValueError(f"an RSA key has fewer than {MIN_RSA_BITS} bits")
        kid, algorithm = found.get("kid"), found.get("alg")
        if algorithm is not None and _KINDS.get(str(algorithm)) != kind:
            raise ValueError("a key is for an algorithm that is not its own")
        return cls(
            members,
            kid if isinstance(kid, str) else None,
            None if algorithm is None else str(algorithm),
            _import(members),
        )


def _bits(number: str) -> int:
    # By value: bytes of zero in front make a key longer and no stronger.
    return int.from_bytes(decode_base64url(number), "big").bit_length()


def _check_use(jwk: JsonObject) -> None:
    operations = jwk.get("key_ops", ["verify"])
    if jwk.get("use", "sig") != "sig" or not isinstance(operations, list):
        raise ValueError("a key is not for signatures")
    if "verify" not in operations:
        raise ValueError("a key is not for verifying")


def _member(jwk: JsonObject, name: str) -> str:
    value = jwk.get(name)
    if not isinstance(value, str):
        raise ValueError(f"{name} of a key is missing, or not text")  # noqa: TRY004 - see above
    if name != "crv":
        decode_base64url(value)
    return value


def _import(members: dict[str, str]) -> RSAKey | ECKey | OKPKey:
    from joserfc.errors import JoseError  # noqa: PLC0415 - see above
    from joserfc.jwk import ECKey, OKPKey, RSAKey  # noqa: PLC0415 - see above

    kinds: dict[str, type[RSAKey | ECKey | OKPKey]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
    try:
        key = kinds[members["kty"]].import_key(dict(members))
        key.get_op_key("verify")
    except JoseError as error:
        raise ValueError("a key is malformed") from error
    return key


def _object(part: str) -> JsonObject:
    value = strict_json(_bytes(part))
    if not isinstance(value, dict):
        raise refused("malformed", "a part is not an object")
    return value


def _bytes(part: str) -> bytes:
    try:
        return decode_base64url(part)
    except ValueError as error:
        raise refused("malformed", "a part is not canonical base64url") from error


def refused(code: str, rule: str) -> TokenRefusedError:
    """Make the refusal of a credential that comes from outside."""
    return TokenRefusedError.of(Denial(code=f"auth.{code}", rule=rule))
