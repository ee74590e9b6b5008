"""A client that asks again until it knows: every write is done once, however often it is sent."""

from __future__ import annotations

import asyncio
from itertools import count, cycle
from typing import TYPE_CHECKING, Self, cast

import msgspec

from raft_core import OPEN_SESSION, ClientSession, SessionReply, SessionStatus

from ._changes import Change, Standing
from ._errors import GaveUpError, WriteError
from ._frames import Kind, Reply, Request, Splitter, Status, frame
from ._machine import Operation, Result, Write

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from ._identity import Address

_encode = msgspec.msgpack.Encoder().encode
_decode_reply = msgspec.msgpack.Decoder(Reply).decode
_decode_session = msgspec.msgpack.Decoder(SessionReply).decode
_decode_result = msgspec.msgpack.Decoder(Result).decode


class Channel(asyncio.Protocol):
    """One connection to one node: any number of requests at once."""

    def __init__(self) -> None:
        self._splitter = Splitter()
        self._waiting: dict[int, asyncio.Future[Reply]] = {}
        self._numbers = count(1)
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def dial(cls, address: Address, tls: ssl.SSLContext | None = None) -> Self:
        """Return a connection to a node."""
        loop = asyncio.get_running_loop()
        _, channel = await loop.create_connection(cls, *address, ssl=tls)
        return channel

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            if not future.done():
                future.set_exception(ConnectionResetError(f"the node hung up: {exc}"))

    def data_received(self, data: bytes) -> None:
        for payload in self._splitter.feed(data):
            reply = _decode_reply(payload)
            future = self._waiting.pop(reply.id, None)
            if future is not None and not future.done():
                future.set_result(reply)

    async def ask(self, kind: Kind, body: bytes) -> Reply:
        """Return the reply to one request."""
        if self._transport is None:
            raise ConnectionResetError("the node hung up")
        number = next(self._numbers)
        future = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            self._transport.write(frame(_encode(Request(number, kind, body))))
            return await future
        finally:
            self._waiting.pop(number, None)

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.abort()


class Client:
    """One session with a group. One request at a time; have several for more.

    `timeout` is for a request with all its retries, `patience` for one of them.
    """

    def __init__(
        self,
        nodes: Mapping[int, Address],
        *,
        tls: ssl.SSLContext | None = None,
        timeout: float = 10.0,
        patience: float = 0.5,
    ) -> None:
        self._nodes = dict(nodes)
        self._order = cycle(sorted(nodes))
        self._tls = tls
        self._timeout = timeout
        self._patience = patience
        self._node = next(self._order)
        self._channel: Channel | None = None
        self._session: ClientSession | None = None
        self.retries = 0

    async def put(self, key: str, value: bytes) -> None:
        """Give a key a value."""
        await self._write(Operation.PUT, key, value)

    async def append(self, key: str, value: bytes) -> int:
        """Append to a list; return its length."""
        return await self._write(Operation.APPEND, key, value)

    async def compare_and_set(self, key: str, expected: bytes, value: bytes) -> bool:
        """Give a key a value if it has the expected one; say whether it had."""
        return bool(await self._write(Operation.COMPARE_AND_SET, key, value, expected))

    async def get(self, key: str) -> bytes | list[bytes] | None:
        """Return the value of a key, with all that anybody was told is written."""
        body = await self._ask(Kind.READ, key.encode())
        return msgspec.msgpack.decode(body, type=bytes | list[bytes] | None)

    async def members(self) -> list[Standing]:
        """Return who belongs to the group, with all that anybody was told is done."""
        body = await self._ask(Kind.MEMBERS, b"")
        return msgspec.msgpack.decode(body, type=list[Standing])

    async def change(self, change: Change) -> list[Standing]:
        """Change who belongs to the group; return who does then.

        Raises:
            WriteError: The change makes no sense: somebody votes under that number already.
            GaveUpError: It may have been done, or may be done yet; ask again, which is no error.

        """
        body = await self._ask(Kind.CHANGE, _encode(change))
        return msgspec.msgpack.decode(body, type=list[Standing])

    async def open(self) -> Self:
        """Open the session; the first write does it too."""
        await self._opened()
        return self

    async def _opened(self) -> ClientSession:
        if self._session is None:
            reply = await self._log(OPEN_SESSION)
            self._session = ClientSession(reply.session)
        return self._session

    async def _write(
        self, operation: Operation, key: str, value: bytes, expected: bytes = b""
    ) -> int:
        session = await self._opened()
        _, request = session.request(_encode(Write(operation, key, value, expected)))
        reply = await self._log(request)  # the same bytes, as often as it takes
        session.answered(reply)
        result = _decode_result(reply.result)
        if result.error:
            raise WriteError(result.error)
        return result.value

    async def _log(self, request: bytes) -> SessionReply:
        reply = _decode_session(await self._ask(Kind.WRITE, request))
        if reply.status is not SessionStatus.OK:
            raise WriteError(f"session {reply.session}: {reply.status.name}")
        return reply

    async def _ask(self, kind: Kind, body: bytes) -> bytes:
        """Ask one node after another until one knows."""
        try:
            async with asyncio.timeout(self._timeout):
                while True:
                    reply = await self._try(kind, body)
                    if reply is not None and reply.status is Status.DONE:
                        return reply.body
                    if reply is not None and reply.status is Status.REFUSED:
                        raise WriteError(reply.body.decode())
                    self.retries += 1
                    await self._turn_to_another(reply)
        except TimeoutError:
            raise GaveUpError(f"no answer within {self._timeout} s") from None

    async def _try(self, kind: Kind, body: bytes) -> Reply | None:
        try:
            async with asyncio.timeout(self._patience):
                if self._channel is None:
                    self._channel = await Channel.dial(self._nodes[self._node], self._tls)
                return await self._channel.ask(kind, body)
        except (OSError, TimeoutError):
            self.close()
            return None

    async def _turn_to_another(self, reply: Reply | None) -> None:
        if reply is not None and reply.status is Status.BUSY:
            await asyncio.sleep(0.01)
            return
        named = int(reply.body or b"0") if reply and reply.status is Status.NOT_LEADER else 0
        self.close()
        if named in self._nodes and named != self._node:
            self._node = named
            return
        self._node = next(self._order)
        await asyncio.sleep(0.01)

    def close(self) -> None:
        """Hang up; the session stays, and the next request dials again."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None


async def describe(
    address: Address, tls: ssl.SSLContext | None = None, patience: float = 0.5
) -> dict[str, int] | None:
    """Return what a node says about itself; nothing if it does not answer."""
    channel = None
    try:
        async with asyncio.timeout(patience):
            channel = await Channel.dial(address, tls)
            reply = await channel.ask(Kind.STATUS, b"")
            return msgspec.msgpack.decode(reply.body, type=dict[str, int])
    except (OSError, TimeoutError):
        return None
    finally:
        if channel is not None:
            channel.close()
