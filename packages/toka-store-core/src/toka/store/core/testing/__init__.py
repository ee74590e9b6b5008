"""Helpers for tests of what is built on stores: events without effort, and a disk that fails."""

from toka.store.core.testing._event_source import EventSource
from toka.store.core.testing._faulty_store import FaultyStore

__all__ = ["EventSource", "FaultyStore"]
