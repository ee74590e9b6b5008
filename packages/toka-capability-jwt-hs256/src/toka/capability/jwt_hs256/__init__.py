"""Capability tokens as strict HS256 JWTs."""

from toka.capability.core import MAX_LEEWAY_SECONDS
from toka.capability.jwt_hs256._errors import InvalidKeyError
from toka.capability.jwt_hs256._header import ALGORITHM, MAX_HEADER_BYTES, TOKEN_TYPE
from toka.capability.jwt_hs256._issuer import JwtHs256Issuer
from toka.capability.jwt_hs256._key import MAX_KEY_BYTES, MIN_KEY_BYTES, Hs256Key
from toka.capability.jwt_hs256._validator import JwtHs256Validator

__all__ = [
    "ALGORITHM",
    "MAX_HEADER_BYTES",
    "MAX_KEY_BYTES",
    "MAX_LEEWAY_SECONDS",
    "MIN_KEY_BYTES",
    "TOKEN_TYPE",
    "Hs256Key",
    "InvalidKeyError",
    "JwtHs256Issuer",
    "JwtHs256Validator",
]
