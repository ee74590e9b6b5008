"""Connections to other nodes: each node dials every other, and sends over what it dialled.

Raft takes lost messages, so nothing is kept for a node that cannot be reached, and what a slow one
does not take in time is dropped. `asyncio.Protocol` rather than streams: a stream costs a task
switch and a copy for every message, five times the time.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, cast

import attrs
import msgspec

from raft_core import MessageType, encode_message

from ._errors import HelloError
from ._frames import Splitter, frame
from ._identity import Hello, Purpose, Welcome, parse_address

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from raft_core import Member, Message

    from ._identity import Address

_log = logging.getLogger("raft_node")
_encode = msgspec.msgpack.Encoder().encode
_decode_welcome = msgspec.msgpack.Decoder(Welcome).decode
#: What may lie in this process for a node that is slow; more is dropped.
MAX_BUFFERED: Final = 64 * 2**20
_REDIAL: Final = 0.05
#: Who is not welcome now will not be welcome soon.
_REFUSED: Final = 0.5
_DIALLING: Final = 2.0
#: How long news of a commit may wait for entries that it can travel with.
_HOLDING: Final = 0.005


@attrs.define(eq=False)
class Link:
    """The way to one node: dialled again and again until this is closed."""

    hello: Hello
    address: Address
    tls: ssl.SSLContext | None
    transport: asyncio.Transport | None = None
    """Where to send to, once the other end has said that it is who was meant."""
    refusal: HelloError | None = None
    """Why the other end does not talk to this node, if so."""
    _task: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Begin to dial."""
        self._task = asyncio.create_task(self._keep_dialling())

    async def _keep_dialling(self) -> None:
        loop = asyncio.get_running_loop()
        host, port = self.address
        while True:
            end = _Outgoing(frame(_encode(self.hello)))
            try:
                async with asyncio.timeout(_DIALLING):
                    await loop.create_connection(lambda end=end: end, host, port, ssl=self.tls)
                    await end.welcomed
                self.transport, self.refusal = end.transport, None
                await end.lost.wait()
            except HelloError as error:
                if self.refusal is None:
                    _log.warning("node %s: %s: %s", self.hello.to.number, error.code, error)
                self.refusal = error
            except (OSError, TimeoutError):
                pass  # not there, or not who it should be: it may be later
            finally:
                self.transport = None
                end.hang_up()
            await asyncio.sleep(_REFUSED if self.refusal else _REDIAL)

    def send(self, payloads: list[bytes]) -> bool:
        """Send what can be sent now; say whether it was."""
        transport = self.transport
        if transport is None or transport.get_write_buffer_size() > MAX_BUFFERED:
            return False
        transport.write(b"".join(payloads))
        return True

    async def dial_for_snapshot(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Return a connection on which a snapshot can follow, once the other end has answered."""
        reader, writer = await asyncio.open_connection(*self.address, ssl=self.tls)
        hello = msgspec.structs.replace(self.hello, purpose=Purpose.SNAPSHOT)
        writer.write(frame(_encode(hello)))
        return reader, writer

    async def close(self) -> None:
        """Hang up."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])


class _Outgoing(asyncio.Protocol):
    """Says hello, and notices that the other end is gone. Nothing but a welcome comes back."""

    def __init__(self, hello: bytes) -> None:
        loop = asyncio.get_running_loop()
        self.welcomed: asyncio.Future[None] = loop.create_future()
        self.lost = asyncio.Event()
        self.transport: asyncio.Transport | None = None
        self._hello = hello
        self._splitter = Splitter(2**16)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say hello."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(self._hello)

    def data_received(self, data: bytes) -> None:
        """Hear whether this node is welcome."""
        for payload in self._splitter.feed(data):
            if not self.welcomed.done():
                self._hear(payload)

    def _hear(self, payload: bytes) -> None:
        try:
            _decode_welcome(payload).check()
        except (HelloError, msgspec.MsgspecError) as error:
            refusal = error if isinstance(error, HelloError) else HelloError(str(error))
            self.welcomed.set_exception(refusal)
        else:
            self.welcomed.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let it be dialled again."""
        self.lost.set()
        if not self.welcomed.done():
            self.welcomed.set_exception(exc or ConnectionResetError("it hung up"))

    def hang_up(self) -> None:
        """End the connection."""
        if not self.welcomed.cancel() and not self.welcomed.cancelled():
            self.welcomed.exception()  # whoever waited for it had lost patience
        if self.transport is not None:
            self.transport.abort()


@attrs.define(eq=False)
class Links:
    """The ways to all the other nodes.

    What only tells a follower that more is committed can wait a moment: as a rule the next entries
    overtake it, and say the same. That halves the messages, and nobody waits for them.
    """

    cluster: int
    own: Member
    routes: Mapping[int, Address]
    """Where to dial some numbers, in place of what the group knows as their address."""
    tls: ssl.SSLContext | None
    unreachable: Callable[[int], None]
    """Told of a node to which entries could not be sent."""
    ship: Callable[[Link | None, Message], None]
    """Sends a snapshot, on a connection of its own, if there is a way."""
    _members: dict[int, Member] = attrs.field(init=False, factory=dict)
    _guests: list[Member] = attrs.field(init=False, factory=list)
    """Who has dialled this node. It may know of no members yet, and must answer all the same."""
    _links: dict[int, Link] = attrs.field(init=False, factory=dict)
    _closing: set[asyncio.Task[None]] = attrs.field(init=False, factory=set)
    _held: dict[int, Message] = attrs.field(init=False, factory=dict)
    _held_since: float = attrs.field(init=False, default=0.0)
    _timer: asyncio.TimerHandle | None = attrs.field(init=False, default=None)

    @property
    def refused(self) -> int:
        """Return how many nodes say that they are not who they should be."""
        return sum(link.refusal is not None for link in self._links.values())

    def know(self, members: Iterable[Member]) -> None:
        """Have a way to each of these, and to nobody else but guests."""
        self._members = {member.node_id: member for member in members}
        self._update()

    def come(self, guest: Member) -> None:
        """Have a way to somebody who dialled this node."""
        self._guests.append(guest)
        self._update()

    def leave(self, guest: Member) -> None:
        """Have none any more, unless they are a member."""
        self._guests.remove(guest)
        self._update()

    def _update(self) -> None:
        wanted = {**{guest.node_id: guest for guest in self._guests}, **self._members}
        wanted.pop(self.own.node_id, None)
        for node in [node for node in self._links if node not in wanted]:
            closing = asyncio.ensure_future(self._links.pop(node).close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
        for node, member in wanted.items():
            if node not in self._links:
                address = self.routes.get(member.number) or parse_address(member.address)
                hello = Hello(self.cluster, self.own, member)
                self._links[node] = Link(hello, address, self.tls)
                self._links[node].open()

    def send(self, messages: Sequence[Message]) -> None:
        """Send messages, those to one node in one write."""
        by_node: dict[int, list[Message]] = {}
        for message in messages:
            if message.type is MessageType.SNAP:
                self.ship(self._links.get(message.to), message)
                continue
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
        loop = asyncio.get_running_loop()
        self._held[message.to] = message
        self._held_since = loop.time()
        if self._timer is None:
            self._timer = loop.call_at(self._held_since + _HOLDING, self._send_held)

    def _send_held(self) -> None:
        due = self._held_since + _HOLDING
        loop = asyncio.get_running_loop()
        if loop.time() < due:  # entries have overtaken what it was set for
            self._timer = loop.call_at(due, self._send_held)
            return
        self._timer = None
        held, self._held = self._held, {}
        for node, message in held.items():
            self._send_to(node, [message])

    def _send_to(self, node: int, messages: list[Message]) -> None:
        link = self._links.get(node)
        frames = [frame(encode_message(message, cluster=self.cluster)) for message in messages]
        sent = link is not None and link.send(frames)
        if not sent and any(message.type is MessageType.APP for message in messages):
            self.unreachable(node)

    async def close(self) -> None:
        """Hang up on all."""
        if self._timer is not None:
            self._timer.cancel()
        for link in self._links.values():
            await link.close()


def _says_all_of(later: Message, earlier: Message) -> bool:
    """Say whether an append makes an empty one before it superfluous."""
    same = (later.term, later.index, later.log_term) == (
        earlier.term,
        earlier.index,
        earlier.log_term,
    )
    return same and later.commit >= earlier.commit
