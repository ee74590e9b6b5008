"""Errors of toka.capability.jwt_hs256.

    CapabilityError
    └── InvalidKeyError     bytes cannot serve as a key for HMAC-SHA-256

A token that is not accepted raises `TokenRefusedError` of toka.capability.core, like every format.
"""

from __future__ import annotations

from toka.capability.core import CapabilityError


class InvalidKeyError(CapabilityError, ValueError):
    """Bytes are too short, too regular or of another kind to be a key for HMAC-SHA-256."""

    default_code = "capability.bad_key"
