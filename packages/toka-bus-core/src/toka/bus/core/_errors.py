"""What a bus refuses.

BusError
└── BusClosed
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
