"""A closed loop of clients in a process of its own: each sends its next request when answered.

The clients share connections, as those of a gRPC channel do, and the same number of connections for
every system. A run is a warm-up and a window that counts; it prints one line of JSON.

For etcd the requests are gRPC over a hand-made HTTP/2: prepared headers, one write for all that a
read of the socket made possible. It costs this process less than a gRPC library would, so it does
not hold etcd back.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from statistics import median, quantiles
from struct import Struct
from typing import Final, Protocol, cast

import msgspec

from raft_core import OPEN_SESSION, ClientSession, SessionReply

WARM_UP: Final = 0.7
VALUE: Final = b"v" * 128
_LENGTH: Final = Struct(">I")


class Speech(Protocol):
    """How to talk to a system on one connection."""

    def hello(self) -> bytes:
        """Return what a connection begins with."""
        ...

    def request(self, client: int) -> bytes:
        """Return a client's next request."""
        ...

    def answered(self, data: bytes) -> tuple[list[int], bytes]:
        """Take what arrived; return whose requests are answered, and what to send back at once."""
        ...


class Ours:
    """The frames of `raft_node`; every client has a session."""

    def __init__(self, kind: str) -> None:
        self._reads = kind == "read"
        self._rest = b""
        self._sessions: dict[int, ClientSession] = {}
        self._encode = msgspec.msgpack.Encoder().encode
        self._reply = msgspec.msgpack.Decoder(tuple[int, int, bytes]).decode
        self._session_reply = msgspec.msgpack.Decoder(SessionReply).decode

    def hello(self) -> bytes:
        """Return nothing."""
        return b""

    def request(self, client: int) -> bytes:
        """Return a write, after a request for a session; or a read."""
        if self._reads:
            body = self._encode((client, 2, b"key-%d" % client))
        elif (session := self._sessions.get(client)) is None:
            body = self._encode((client, 1, OPEN_SESSION))
        else:
            write = self._encode((1, f"key-{client}", VALUE))
            body = self._encode((client, 1, session.request(write)[1]))
        return _LENGTH.pack(len(body)) + body

    def answered(self, data: bytes) -> tuple[list[int], bytes]:
        """Take replies."""
        data = self._rest + data
        start, found = 0, list[int]()
        while len(data) - start >= _LENGTH.size:
            end = start + _LENGTH.size + _LENGTH.unpack_from(data, start)[0]
            if end > len(data):
                break
            client, status, body = self._reply(memoryview(data)[start + _LENGTH.size : end])
            if status:
                raise ValueError(f"status {status}: {body!r}")
            if not self._reads:
                self._take(client, self._session_reply(body))
            found.append(client)
            start = end
        self._rest = data[start:]
        return found, b""

    def _take(self, client: int, reply: SessionReply) -> None:
        if reply.status:
            raise ValueError(f"session {reply.session}: {reply.status.name}")
        session = self._sessions.get(client)
        if session is None:
            self._sessions[client] = ClientSession(reply.session)
        elif not session.answered(reply):
            raise ValueError(f"write {reply.sequence} was answered twice")


class Etcd:
    """gRPC over HTTP/2 (RFC 9113), as little of it as etcd's KV service needs."""

    _DATA, _HEADERS, _RST, _SETTINGS, _PING, _GOAWAY, _WINDOW = 0, 1, 3, 4, 6, 7, 8
    _LARGEST = 2**31 - 1

    def __init__(self, kind: str) -> None:
        self._reads = kind == "read"
        path = b"/etcdserverpb.KV/Range" if self._reads else b"/etcdserverpb.KV/Put"
        # RFC 7541: two indexed fields, then literals that are not indexed, so no state builds up.
        self._headers = (
            b"\x83\x86"
            + _literal(b"\x04", path)
            + _literal(b"\x01", b"bench")
            + _literal(b"\x0f\x10", b"application/grpc")
            + _literal(b"\x00\x02te", b"trailers")
        )
        self._rest = b""
        self._next = 1
        self._clients: dict[int, int] = {}
        self._with_data: set[int] = set()
        self._window = 65_535

    def hello(self) -> bytes:
        """Return the preface; it lets the server send without ever waiting for a window."""
        settings = Struct(">HI").pack(4, self._LARGEST)
        return (
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
            + _frame(self._SETTINGS, 0, 0, settings)
            + _frame(self._WINDOW, 0, 0, _LENGTH.pack(self._LARGEST - 65_535))
        )

    def request(self, client: int) -> bytes:
        """Return a Put of 128 bytes, or a linearizable Range of one key."""
        key = b"key-%d" % client
        message = b"\x0a" + _counted(key) + (b"" if self._reads else b"\x12" + _counted(VALUE))
        data = b"\0" + _LENGTH.pack(len(message)) + message
        stream, self._next = self._next, self._next + 2
        self._clients[stream] = client
        self._window -= len(data)
        if self._window < 0:
            raise ValueError("the server leaves no window to send in")
        headers = _frame(self._HEADERS, 4, stream, self._headers)
        return headers + _frame(self._DATA, 1, stream, data)

    def answered(self, data: bytes) -> tuple[list[int], bytes]:
        """Take frames. A stream that ends after data was answered; one without was refused."""
        data = self._rest + data
        start, found, back = 0, list[int](), list[bytes]()
        while len(data) - start >= 9:  # noqa: PLR2004 - RFC 9113 section 4.1
            end = start + 9 + int.from_bytes(data[start : start + 3], "big")
            if end > len(data):
                break
            kind, flags = data[start + 3], data[start + 4]
            stream = _LENGTH.unpack_from(data, start + 5)[0]
            back.append(self._take(kind, flags, stream, data[start + 9 : end]))
            if kind in (self._DATA, self._HEADERS) and flags & 1:
                if stream not in self._with_data:
                    raise ValueError("etcd refused a request")
                self._with_data.discard(stream)
                found.append(self._clients.pop(stream))
            start = end
        self._rest = data[start:]
        return found, b"".join(back)

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> bytes:
        if kind == self._DATA and payload:
            self._with_data.add(stream)
        elif kind == self._WINDOW and not stream:
            self._window += _LENGTH.unpack(payload)[0]
        elif kind in (self._SETTINGS, self._PING) and not flags & 1:
            return _frame(kind, 1, 0, payload if kind == self._PING else b"")
        elif kind in (self._GOAWAY, self._RST):
            raise ValueError(f"etcd ended the connection or a request: {payload!r}")
        return b""


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + _LENGTH.pack(stream) + payload


def _literal(name: bytes, value: bytes) -> bytes:
    return name + bytes((len(value),)) + value


def _counted(value: bytes) -> bytes:
    size = len(value)  # a varint, below 2**14
    return (bytes((size,)) if size < 128 else bytes((size & 127 | 128, size >> 7))) + value  # noqa: PLR2004


class Loop(asyncio.Protocol):
    """Some clients on one connection."""

    def __init__(self, speech: Speech, clients: range, failed: asyncio.Future[None]) -> None:
        self._speech = speech
        self._clients = clients
        self._failed = failed
        self._sent: dict[int, float] = {}
        self._transport: asyncio.Transport
        self.counting = False
        self.latencies: list[float] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send everybody's first request."""
        self._transport = cast("asyncio.Transport", transport)
        self._send(self._clients, self._speech.hello())

    def data_received(self, data: bytes) -> None:
        """Let whoever is answered go on."""
        try:
            answered, back = self._speech.answered(data)
            now = time.perf_counter()
            if self.counting:
                self.latencies += [now - self._sent[client] for client in answered]
            self._send(answered, back)
        except ValueError as error:
            self._transport.abort()
            if not self._failed.done():
                self._failed.set_exception(error)

    def connection_lost(self, exc: Exception | None) -> None:
        """End the run if it was not over."""
        if not self._failed.done():
            self._failed.set_exception(exc or ConnectionResetError("the server hung up"))

    def _send(self, clients: list[int] | range, first: bytes) -> None:
        now = time.perf_counter()
        parts = [first]
        for client in clients:
            self._sent[client] = now
            parts.append(self._speech.request(client))
        if data := b"".join(parts):
            self._transport.write(data)


async def run(
    system: str, kind: str, host: str, port: int, clients: int, seconds: float
) -> dict[str, float]:
    """Return what clients saw in a window of some seconds."""
    loop = asyncio.get_running_loop()
    failed: asyncio.Future[None] = loop.create_future()
    connections = max(1, clients // 8)
    loops: list[Loop] = []
    for number in range(connections):
        share = range(number, clients, connections)
        speech = Ours(kind) if system == "ours" else Etcd(kind)
        loops.append(Loop(speech, share, failed))
        await loop.create_connection(lambda made=loops[-1]: made, host, port)
    await asyncio.wait([failed], timeout=WARM_UP)
    for each in loops:
        each.counting = True
    began = time.perf_counter()
    await asyncio.wait([failed], timeout=seconds)
    taken = time.perf_counter() - began
    if failed.done():
        failed.result()
    failed.cancel()
    latencies = [latency for each in loops for latency in each.latencies]
    return {
        "rate": len(latencies) / taken,
        "operations": len(latencies),
        "median": median(latencies),
        "p99": quantiles(latencies, n=100)[-1],
        "cpu": time.process_time(),
    }


if __name__ == "__main__":
    _, system_, kind_, host_, port_, clients_, seconds_ = sys.argv
    print(
        json.dumps(
            asyncio.run(run(system_, kind_, host_, int(port_), int(clients_), float(seconds_)))
        )
    )
