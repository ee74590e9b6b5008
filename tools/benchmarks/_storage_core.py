"""What all stores share (headers), the store in memory, and the events that suites append.

Nothing here waits, and the bars are numbers and no peers, so it is counted by the second of the
processor: what else runs on the machine has no say in it.
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING

from toka.store.core import ORIGIN, event_of_header, header_bytes, payload_digest
from toka.store.core.testing import EventSource
from toka.store.memory import MemoryStore
from workshop.measure import Measure, at_least

if TYPE_CHECKING:
    from toka.store.core import NewEvent

PAYLOAD = os.urandom(256)
_HEADERS = 100_000
_APPENDS = 50_000


def measures() -> list[Measure]:
    """Return what needs no disk."""
    return [
        Measure("encode a header", "headers/CPU s", {"ours": encode}, [at_least(1_500_000)]),
        Measure("decode a header", "headers/CPU s", {"ours": decode}, [at_least(500_000)]),
        Measure("memory append, one a call", "events/CPU s", {"ours": memory}, [at_least(200_000)]),
    ]


def sample(
    count: int, stream: str = "run/agent", source: EventSource | None = None
) -> list[NewEvent]:
    """Return events such as a step of a task, with 256 bytes that nobody can compress."""
    source = source or EventSource()
    return [source.new(stream, "step.completed.v1", PAYLOAD, (), "intent") for _ in range(count)]


def encode() -> float:
    """Encode headers."""
    (event,) = sample(1)
    began = time.process_time()
    for position in range(_HEADERS):
        header_bytes(event, position, position, ORIGIN, ORIGIN)
    return _HEADERS / (time.process_time() - began)


def decode() -> float:
    """Make headers into events."""
    (event,) = sample(1)
    digest = payload_digest(PAYLOAD)
    header = header_bytes(event, 1_000_000, 1_000, ORIGIN, digest)
    began = time.process_time()
    for _ in range(_HEADERS):
        event_of_header(header, digest, PAYLOAD)
    return _HEADERS / (time.process_time() - began)


def memory() -> float:
    """Append to a store in memory, one event a call."""
    events = sample(_APPENDS)

    async def append() -> float:
        async with MemoryStore() as store:
            began = time.process_time()
            for event in events:
                await store.append([event])
            return time.process_time() - began

    return _APPENDS / asyncio.run(append())
