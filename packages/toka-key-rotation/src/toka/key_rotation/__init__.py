"""A key ring that rotates without a failed verification, and survives a crash mid-rotation."""

from toka.key_rotation._audit import Audit, AuditEvent, AuditKind
from toka.key_rotation._errors import (
    InvalidKeyRingError,
    InvalidPolicyError,
    KeyRotationError,
    KeyStoreError,
    KeyStoreMissing,
    NoSigningKey,
    NotPublishedYet,
    WrappingKeyError,
)
from toka.key_rotation._file_store import FileStore
from toka.key_rotation._key import KeyAlgorithm, RingKey, thumbprint
from toka.key_rotation._key_ring import LOOK_SECONDS, STALE_SECONDS, KeyRing
from toka.key_rotation._policy import RotationPolicy
from toka.key_rotation._rotating import RotatingIssuer, RotatingValidator
from toka.key_rotation._sealing import WrappingKey
from toka.key_rotation._sqlite_store import SqliteStore
from toka.key_rotation._state import MAX_RETIRED, KeyRecord, KeyState, RingState
from toka.key_rotation._store import KeyStore

__all__ = [
    "LOOK_SECONDS",
    "MAX_RETIRED",
    "STALE_SECONDS",
    "Audit",
    "AuditEvent",
    "AuditKind",
    "FileStore",
    "InvalidKeyRingError",
    "InvalidPolicyError",
    "KeyAlgorithm",
    "KeyRecord",
    "KeyRing",
    "KeyRotationError",
    "KeyState",
    "KeyStore",
    "KeyStoreError",
    "KeyStoreMissing",
    "NoSigningKey",
    "NotPublishedYet",
    "RingKey",
    "RingState",
    "RotatingIssuer",
    "RotatingValidator",
    "RotationPolicy",
    "SqliteStore",
    "WrappingKey",
    "WrappingKeyError",
    "thumbprint",
]
