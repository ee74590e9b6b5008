"""Publish and subscribe in one process, with bounded memory and told-about gaps."""

from toka.bus.core._bus import CAPACITY, Bus
from toka.bus.core._errors import BusClosed, BusError, InvalidNotice
from toka.bus.core._follow import Positioned, follow
from toka.bus.core._notices import (
    BytesTransferred,
    Category,
    Check,
    MemoryAllocated,
    Notice,
    ProcessorUsed,
    Resource,
    ResourceExhausted,
    Severity,
    SystemFailed,
    Transfer,
    ValidationFailed,
)
from toka.bus.core._subscription import Gap, Subscription

__all__ = [
    "CAPACITY",
    "Bus",
    "BusClosed",
    "BusError",
    "BytesTransferred",
    "Category",
    "Check",
    "Gap",
    "InvalidNotice",
    "MemoryAllocated",
    "Notice",
    "Positioned",
    "ProcessorUsed",
    "Resource",
    "ResourceExhausted",
    "Severity",
    "Subscription",
    "SystemFailed",
    "Transfer",
    "ValidationFailed",
    "follow",
]
