"""What other nodes dial: a greeting, then messages."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, cast

import attrs
import msgspec

from raft_core import MalformedMessageError, MessageError, MessageType, decode_message

from ._errors import FrameError, HelloError
from ._frames import Splitter, frame
from ._identity import Hello, Purpose, Welcome, check
from ._shipping import receive

if TYPE_CHECKING:
    from raft_core import Member, Message

    from ._links import Links
    from ._replica import Replica

_log = logging.getLogger("raft_node")
_decode = msgspec.msgpack.Decoder(Hello).decode
_encode = msgspec.msgpack.Encoder().encode


@attrs.frozen
class Door:
    """What a connection leads to."""

    replica: Replica
    links: Links


class Incoming(asyncio.Protocol):
    """A connection that another node dialled."""

    def __init__(self, door: Door) -> None:
        self._replica = door.replica
        self._links = door.links
        self._splitter = Splitter()
        self._transport: asyncio.Transport | None = None
        self._guest: Member | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember how to hang up."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the interface
        """Forget who it was."""
        if self._guest is not None:
            self._links.leave(self._guest)

    def data_received(self, data: bytes) -> None:
        """Hand on the messages that are whole."""
        replica, cluster = self._replica, self._links.cluster
        try:
            for payload in self._splitter.feed(data):
                if self._guest is None:
                    self._greet(payload)
                else:
                    replica.step(_checked(decode_message(payload, cluster=cluster)))
        except (FrameError, HelloError, MessageError, msgspec.MsgspecError) as error:
            _log.warning("hung up on another node: %s", error)
            if self._transport is not None:
                self._transport.close()
        replica.wake()

    def _greet(self, payload: bytes) -> None:
        hello = _decode(payload)
        try:
            check(hello, self._links.cluster, self._links.own)
        except HelloError as error:
            self._answer(Welcome(error.code, str(error)))
            raise
        self._answer(Welcome())
        if hello.purpose is Purpose.SNAPSHOT:
            self._hand_over()
        else:
            self._guest = hello.sender
            self._links.come(hello.sender)

    def _hand_over(self) -> None:
        """Let the connection be a stream: a snapshot waits for the disk, and the sender with it."""
        stream = asyncio.StreamReader()
        taking = partial(receive, self._replica, self._links.cluster)
        protocol = asyncio.StreamReaderProtocol(stream, taking)
        if self._transport is not None:
            self._transport.set_protocol(protocol)
            protocol.connection_made(self._transport)

    def _answer(self, welcome: Welcome) -> None:
        if self._transport is not None:
            self._transport.write(frame(_encode(welcome)))


def _checked(message: Message) -> Message:
    if message.type in (MessageType.SNAP, MessageType.SNAP_CHUNK):
        raise MalformedMessageError("a snapshot comes on a connection of its own")
    return message
