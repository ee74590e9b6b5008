"""Publish and subscribe in one process, with bounded queues and told-about gaps."""

from toka.bus.core._bus import DEFAULT_CAPACITY, Bus, Gap, Subscription

__all__ = ["DEFAULT_CAPACITY", "Bus", "Gap", "Subscription"]
