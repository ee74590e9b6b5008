"""What a bus refuses.

BusError
├── BusClosed
└── InvalidNotice      a field is beyond its limit
"""

from __future__ import annotations

from toka.types import TokaError


class BusError(TokaError):
    """The base of every error of a bus."""

    default_code = "bus.error"


class BusClosed(BusError):
    """Something was published on a bus that was closed."""

    default_code = "bus.closed"

    def __init__(self) -> None:
        super().__init__("The bus is closed; nothing was published.")


class InvalidNotice(BusError, ValueError):
    """A notice was to be made that breaks a limit; nothing was made of it."""

    default_code = "bus.invalid_notice"

    def __init__(self, kind: str, field: str, limit: str) -> None:
        super().__init__(
            f"{field} of {kind} has to be {limit}.",
            details={"kind": kind, "field": field, "limit": limit},
        )
