"""What an audit learns about keys: names, generations and reasons, never a secret."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import TypeAlias

import attrs


class AuditKind(enum.Enum):
    """What happened."""

    KEY_GENERATED = "key_generated"
    KEY_ROTATED = "key_rotated"
    KEYS_CLEANED_UP = "keys_cleaned_up"
    ROTATION_FAILED = "rotation_failed"
    KEY_VALIDATION = "key_validation"
    """A token was refused for its key."""
    SECURITY_ALERT = "security_alert"
    """A key was tainted, or a token of a tainted or retired key was presented."""


@attrs.frozen
class AuditEvent:
    """One thing that happened to a ring, or to a token because of it."""

    kind: AuditKind
    at: int
    """Seconds since the Unix epoch."""
    kids: tuple[str, ...] = ()
    generation: int | None = None
    """Of the key that the event is about; of a rotation, of the key that signs now."""
    previous: int | None = None
    """Of a rotation: the generation that signed before."""
    reason: str = ""


Audit: TypeAlias = Callable[[AuditEvent], None]
