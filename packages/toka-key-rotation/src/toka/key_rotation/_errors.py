"""Errors of toka.key_rotation.

TokaError
└── KeyRotationError
    ├── InvalidPolicyError      a policy would refuse tokens that are still valid
    ├── InvalidKeyRingError     keys contradict one another; nothing was changed
    ├── NotPublishedYet         the next key was not known to everybody for long enough
    ├── NoSigningKey            no key may sign now
    └── KeyStoreError           the store cannot be used as it is
        ├── KeyStoreMissing     there is none
        └── WrappingKeyError    the key that encrypts the store is missing, malformed or another
"""

from __future__ import annotations

from toka.types import TokaError


class KeyRotationError(TokaError):
    """The base of this distribution's errors."""

    default_code = "keys.error"


class InvalidPolicyError(KeyRotationError, ValueError):
    """A policy's times contradict one another."""

    default_code = "keys.bad_policy"


class InvalidKeyRingError(KeyRotationError, ValueError):
    """Keys that cannot be in one ring, or a step that cannot be taken from here."""

    default_code = "keys.bad_ring"


class NotPublishedYet(KeyRotationError):
    """Verifiers may not know the next key yet; tokens that it signs would be refused."""

    default_code = "keys.not_published"


class NoSigningKey(KeyRotationError):
    """There is no active key, or it should have been replaced long ago."""

    default_code = "keys.no_signing_key"


class KeyStoreError(KeyRotationError):
    """A store is damaged, foreign, accessible to others, or cannot be read or written.

    It is never replaced by a new one: that would silently revoke every token.
    """

    default_code = "keys.bad_store"


class KeyStoreMissing(KeyStoreError):
    """There is no store yet; make one on purpose."""

    default_code = "keys.no_store"


class WrappingKeyError(KeyStoreError):
    """The key that encrypts a store is missing, malformed, or not the one it was encrypted with."""

    default_code = "keys.bad_wrapping_key"
