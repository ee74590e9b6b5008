"""What clients talk to: requests in, replies out, in any order, many at once on one connection."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, cast

import msgspec

from ._changes import decode_change
from ._errors import FrameError
from ._frames import Kind, Reply, Request, Splitter, Status, frame

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._replica import Answer, Replica

_log = logging.getLogger("raft_node")
_decode = msgspec.msgpack.Decoder(Request).decode
_encode = msgspec.msgpack.Encoder().encode


class Service:
    """The connections of all clients. What is answered in one turn goes out in one write each."""

    def __init__(self, describe: Callable[[], dict[str, int]]) -> None:
        self.replica: Replica
        self.describe = describe
        self._answered: set[Connection] = set()

    def connection(self) -> Connection:
        """Return what handles a new connection."""
        return Connection(self)

    def mark(self, connection: Connection) -> None:
        """Note that a connection has something to send."""
        self._answered.add(connection)

    def flush(self) -> None:
        """Send all the answers given since the last time."""
        answered, self._answered = self._answered, set()
        for connection in answered:
            connection.flush()


class Connection(asyncio.Protocol):
    """One client's connection."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._splitter = Splitter(64 * 2**20)
        self._replies: list[bytes] = []
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where answers go."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the interface
        """Forget where answers go; what was asked is done all the same."""
        self._transport = None

    def pause_writing(self) -> None:
        """Take no more from a client that does not read its answers."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Take more again."""
        if self._transport is not None:
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Take the requests that are whole."""
        try:
            for payload in self._splitter.feed(data):
                self._take(_decode(payload))
        except (FrameError, msgspec.MsgspecError) as error:
            _log.warning("hung up on a client: %s", error)
            if self._transport is not None:
                self._transport.abort()
        self._service.replica.wake()

    def _take(self, request: Request) -> None:
        answer = partial(self._answer, request.id)
        replica = self._service.replica
        if request.kind is Kind.WRITE:
            replica.propose(request.body, answer)
        elif request.kind is Kind.READ:
            replica.read(partial(replica.query, request.body), answer)
        else:
            self._take_rare(request, answer)
            self._service.flush()

    def _take_rare(self, request: Request, answer: Answer) -> None:
        replica = self._service.replica
        if request.kind is Kind.MEMBERS:
            replica.read(replica.standings, answer)
        elif request.kind is Kind.CHANGE:
            replica.change(decode_change(request.body), answer)
        else:
            answer(Status.DONE, _encode(self._service.describe()))

    def _answer(self, request: int, status: Status, body: bytes) -> None:
        if not self._replies:
            self._service.mark(self)
        self._replies.append(frame(_encode(Reply(request, status, body))))

    def flush(self) -> None:
        """Send the answers given so far."""
        replies, self._replies = self._replies, []
        if self._transport is not None:
            self._transport.write(b"".join(replies))
