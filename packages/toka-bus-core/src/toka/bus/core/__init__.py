"""Publish and subscribe in one process, with bounded memory and told-about gaps."""

from toka.bus.core._bus import CAPACITY, Bus
from toka.bus.core._errors import BusClosed, BusError
from toka.bus.core._follow import Positioned, follow
from toka.bus.core._subscription import Gap, Subscription

__all__ = [
    "CAPACITY",
    "Bus",
    "BusClosed",
    "BusError",
    "Gap",
    "Positioned",
    "Subscription",
    "follow",
]
