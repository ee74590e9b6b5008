"""Listeners of the event stream, and how late each event comes."""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING, Final

from benchmarks import _service_load as service
from workshop.measure import scratch

if TYPE_CHECKING:
    from benchmarks._service_load import Server
    from workshop.measure import Subject

_CODE = """\
import asyncio
import time


async def work(ctx):
    began = time.monotonic()
    for number in range({ticks}):
        await ctx.observe("tick", {{"sent": time.time_ns() // 1_000_000}})
        await asyncio.sleep(max(0, began + (number + 1) / {rate} - time.monotonic()))
"""
_SPEC = """\
metadata: {name: ticking}
tasks: {default: [{id: work, description: tick, entry: "ticking:work"}]}
"""
_EVENTS_A_TICK: Final = 2
"""The observation, and the step that made it."""
_SENT: Final = re.compile(rb'"sent":(\d{13})')
_PATIENCE: Final = 60.0


class _Listener(asyncio.Protocol):
    """Counts events, and notes how late the oldest of each piece is."""

    def __init__(self, request: bytes, late: list[float]) -> None:
        self.events = 0
        self._late = late
        self._request = request
        self._tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - of a socket
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        now = time.time() * 1_000
        # A mark that is cut in two by the network counts with the piece that ends it.
        self.events += (self._tail + data).count(b"\nid: ") - self._tail.count(b"\nid: ")
        self._tail = data[-4:]
        sent = _SENT.search(data)
        if sent is not None:
            self._late.append(now - int(sent[1]))


async def _listen(server: Server, listeners: int, run: bytes) -> list[float]:
    position = _position(server)
    request = server.request("GET", f"/v1/events?after={position}")
    late: list[float] = []
    loop = asyncio.get_running_loop()
    made = [
        await loop.create_connection(lambda: _Listener(request, late), "127.0.0.1", server.port)
        for _ in range(listeners)
    ]
    await service.load(server, run, 1, 0)
    while await asyncio.to_thread(_is_busy, server):  # noqa: ASYNC110 - it is another process
        await asyncio.sleep(0.5)
    wanted = _position(server) - position
    deadline = time.monotonic() + _PATIENCE
    while any(listener.events < wanted for _, listener in made):
        if time.monotonic() > deadline:
            raise TimeoutError(f"a listener has not got all of {wanted} events")
        await asyncio.sleep(0.1)
    for transport, _ in made:
        transport.close()
    return sorted(late)


def _position(server: Server) -> int:
    found = server.get("/v1/log?limit=1")["position"]
    assert isinstance(found, int)  # noqa: S101 - the API document says so
    return found


def _is_busy(server: Server) -> bool:
    return server.get("/status")["current_phase"] != "idle"


def delays(listeners: int, rate: int, seconds: float) -> Subject:
    """Return the subject: the 99th percentile of how late events are, in milliseconds."""

    def subject() -> float:
        with scratch() as folder:
            ticks = rate // _EVENTS_A_TICK
            code = _CODE.format(ticks=int(ticks * seconds), rate=ticks)
            (folder / "ticking.py").write_text(code)
            (folder / "ticking.yaml").write_text(_SPEC)
            with service.served(folder) as server:
                run = server.request("POST", "/v1/runs", {"source": "ticking.yaml"})
                late = asyncio.run(_listen(server, listeners, run))
                return late[int(len(late) * 0.99)]

    return subject
