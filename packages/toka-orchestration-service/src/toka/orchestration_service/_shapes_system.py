"""What the service is made of: tools, keys, what was taken back, and the health of its parts."""

from typing import Literal

import attrs
import msgspec

from toka.orchestration_service._shapes import Time


@attrs.frozen
class Tool:
    """Something that agents can be allowed to do."""

    name: str
    version: str
    description: str
    side_effect: str
    """What running a call once more would do, at worst."""
    taints: bool
    honours_idempotency_key: bool
    parameters: msgspec.Raw
    """JSON Schema of the arguments."""


@attrs.frozen
class ToolList:
    """Every tool of this host."""

    tools: tuple[Tool, ...]


@attrs.frozen
class Key:
    """What is public of a key that tokens are checked with."""

    key: str
    """Its name, which says nothing of the secret."""
    algorithm: str
    use: Literal["signs", "verifies"]
    """Whether it still signs, or only verifies what it has signed."""
    since: Time | None
    until: Time | None


@attrs.frozen
class KeyList:
    """The keys that tokens are checked with."""

    keys: tuple[Key, ...]


@attrs.frozen
class Revocation:
    """Something that was taken back."""

    revision: int
    kind: Literal["token", "subject", "key", "everything"]
    target: str
    vault: str
    revoked: Time
    issued_until: Time | None
    """Only what was issued up to then; null for all."""
    reason: str


@attrs.frozen
class RevocationPage:
    """Some of what was taken back, oldest first."""

    revocations: tuple[Revocation, ...]
    next: str | None


@attrs.frozen
class Part:
    """A part of the service."""

    name: str
    state: Literal["ok", "behind", "failed"]
    detail: str
    """A sentence for people."""
    figures: dict[str, int | float]
    """Measured just now."""


@attrs.frozen
class HealthDetail:
    """How the parts of the service do."""

    status: Literal["ok", "degraded"]
    version: str
    uptime_seconds: float
    parts: tuple[Part, ...]
