"""Connections between nodes: each node dials every other, and sends over what it dialled.

Raft takes lost messages, so nothing is kept for a node that cannot be reached, and what a slow one
does not take in time is dropped. `asyncio.Protocol` rather than streams: a stream costs a task
switch and a copy for every message, five times the time.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, cast

import attrs

from raft_core import MessageError, MessageType, decode_message, encode_message

from ._frames import FrameError, Splitter, frame

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping, Sequence

    from raft_core import Message

_log = logging.getLogger("raft_node")
#: What may lie in this process for a node that is slow; more is dropped.
MAX_BUFFERED: Final = 64 * 2**20
_REDIAL: Final = 0.05
_DIALLING: Final = 2.0
#: How long news of a commit may wait for entries that it can travel with.
_HOLDING: Final = 0.005

#: A host and a port.
Address = tuple[str, int]


class Incoming(asyncio.Protocol):
    """What another node dialled."""

    def __init__(
        self, cluster: int, step: Callable[[Message], None], wake: Callable[[], None]
    ) -> None:
        self._cluster = cluster
        self._step = step
        self._wake = wake
        self._splitter = Splitter()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember how to hang up."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Hand on the messages that are whole."""
        try:
            for payload in self._splitter.feed(data):
                self._step(decode_message(payload, cluster=self._cluster))
        except (FrameError, MessageError) as error:
            _log.warning("hung up on another node: %s", error)
            if self._transport is not None:
                self._transport.abort()
        self._wake()


@attrs.define(eq=False)
class Link:
    """The way to one node: dialled again and again until this is closed."""

    address: Address
    tls: ssl.SSLContext | None
    transport: asyncio.Transport | None = None
    dropped: bool = False
    _task: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Begin to dial."""
        self._task = asyncio.create_task(self._keep_dialling())

    async def _keep_dialling(self) -> None:
        loop = asyncio.get_running_loop()
        host, port = self.address
        while True:
            lost = asyncio.Event()
            try:
                async with asyncio.timeout(_DIALLING):
                    transport, _ = await loop.create_connection(
                        lambda lost=lost: _Outgoing(lost), host, port, ssl=self.tls
                    )
                self.transport = transport
                await lost.wait()
            except (OSError, TimeoutError):
                pass  # not there, or not who it should be: it may be later
            finally:
                self.transport = None
            await asyncio.sleep(_REDIAL)

    def send(self, payloads: list[bytes]) -> bool:
        """Send what can be sent now; say whether it was."""
        transport = self.transport
        if transport is None or transport.get_write_buffer_size() > MAX_BUFFERED:
            return False
        transport.write(b"".join(payloads))
        return True

    async def close(self) -> None:
        """Hang up."""
        if self.transport is not None:
            self.transport.abort()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])


class _Outgoing(asyncio.Protocol):
    """Notices that the other end is gone. Nothing comes back on it."""

    def __init__(self, lost: asyncio.Event) -> None:
        self._lost = lost

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the interface
        self._lost.set()


@attrs.define(eq=False)
class Links:
    """The ways to all the other nodes.

    What only tells a follower that more is committed can wait a moment: as a rule the next entries
    overtake it, and say the same. That halves the messages, and nobody waits for them.
    """

    cluster: int
    links: Mapping[int, Link]
    unreachable: Callable[[int], None]
    """Told of a node to which entries could not be sent."""
    _held: dict[int, Message] = attrs.field(init=False, factory=dict)
    _timer: asyncio.TimerHandle | None = attrs.field(init=False, default=None)

    def open(self) -> None:
        """Begin to dial."""
        for link in self.links.values():
            link.open()

    def send(self, messages: Sequence[Message]) -> None:
        """Send messages, those to one node in one write."""
        by_node: dict[int, list[Message]] = {}
        for message in messages:
            if message.type is MessageType.APP:
                held = self._held.pop(message.to, None)
                if held is not None and not _says_all_of(message, held):
                    by_node.setdefault(message.to, []).append(held)
                if not message.entries:
                    self._hold(message)
                    continue
            by_node.setdefault(message.to, []).append(message)
        for node, some in by_node.items():
            self._send_to(node, some)

    def _hold(self, message: Message) -> None:
        self._held[message.to] = message
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(_HOLDING, self._send_held)

    def _send_held(self) -> None:
        self._timer = None
        held, self._held = self._held, {}
        for node, message in held.items():
            self._send_to(node, [message])

    def _send_to(self, node: int, messages: list[Message]) -> None:
        link = self.links.get(node)
        frames = [frame(encode_message(message, cluster=self.cluster)) for message in messages]
        if (link is None or not link.send(frames)) and any(
            message.type in (MessageType.APP, MessageType.SNAP) for message in messages
        ):
            self.unreachable(node)

    async def close(self) -> None:
        """Hang up on all."""
        if self._timer is not None:
            self._timer.cancel()
        for link in self.links.values():
            await link.close()


def _says_all_of(later: Message, earlier: Message) -> bool:
    """Say whether an append makes an empty one before it superfluous."""
    same = (later.term, later.index, later.log_term) == (
        earlier.term,
        earlier.index,
        earlier.log_term,
    )
    return same and later.commit >= earlier.commit
