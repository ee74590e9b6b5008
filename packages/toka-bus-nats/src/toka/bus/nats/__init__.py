"""Publish and subscribe between processes, on NATS JetStream, in the words of `toka.bus.core`."""

from toka.bus.core import BusClosed, BusError, Gap
from toka.bus.nats._bus import MAX_BYTES, PATIENCE, NatsBus
from toka.bus.nats._codec import Publishable
from toka.bus.nats._errors import (
    BusUnavailable,
    DurableDiffers,
    InvalidName,
    PublishRefused,
    UndecodableItem,
)
from toka.bus.nats._subscription import ACK_WAIT, NatsSubscription
from toka.bus.nats._trace import Traced

__all__ = [
    "ACK_WAIT",
    "MAX_BYTES",
    "PATIENCE",
    "BusClosed",
    "BusError",
    "BusUnavailable",
    "DurableDiffers",
    "Gap",
    "InvalidName",
    "NatsBus",
    "NatsSubscription",
    "PublishRefused",
    "Publishable",
    "Traced",
    "UndecodableItem",
]
