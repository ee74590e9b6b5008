"""Snapshots from node to node: a connection each, and no more in memory than a few pieces.

After the greeting the sender gives the message that Raft made for the snapshot, which has no data,
then how much data there is and its checksum, then the data. The other end writes it aside and, when
it is durable and is what it should be, hands the message to its own node and says so.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

import attrs
import msgspec

from raft_core import Message, MessageError, MessageType, decode_message, encode_message
from raft_storage import NoSpaceError, RaftStorageError

from ._archive import head_of
from ._errors import FrameError, NodeError
from ._frames import frame
from ._identity import Welcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from raft_storage import FileStorage, SnapshotReader, SnapshotWriter

    from ._links import Link
    from ._replica import Replica

_log = logging.getLogger("raft_node")
#: Who takes no piece, or sends none, for so many seconds is gone.
_PATIENCE: Final = 10.0
_PIECE: Final = 2**20


class _Size(msgspec.Struct, frozen=True, array_like=True):
    size: int
    checksum: int

    def check(self, draft: SnapshotWriter) -> None:
        """Refuse what is not what was announced."""
        if (draft.size, draft.checksum) != (self.size, self.checksum):
            raise FrameError(f"snapshot {draft.index} is not what was sent")


_encode: Final = msgspec.msgpack.Encoder().encode
_decode_size: Final = msgspec.msgpack.Decoder(_Size).decode
_decode_welcome: Final = msgspec.msgpack.Decoder(Welcome).decode


@attrs.define(eq=False)
class Shipping:
    """The snapshots that this node sends, one at a time to each other."""

    cluster: int
    store: FileStorage
    report: Callable[[int, bool], None]
    """Told whether a snapshot has reached a node."""
    fail: Callable[[BaseException], None]
    """Told that the own snapshot cannot be read."""
    _tasks: dict[int, asyncio.Task[None]] = attrs.field(init=False, factory=dict)

    def send(self, link: Link | None, message: Message) -> None:
        """Send the latest snapshot, whichever it is by now; a transfer under way is given up."""
        if link is None:
            asyncio.get_running_loop().call_soon(self.report, message.to, False)
            return
        before = self._tasks.pop(message.to, None)
        if before is not None:
            before.cancel()
        self._tasks[message.to] = asyncio.create_task(self._send(link, message))

    async def _send(self, link: Link, message: Message) -> None:
        try:
            await self._ship(link, message)
        except (OSError, EOFError, NodeError, msgspec.MsgspecError) as error:
            _log.warning("node %s did not get a snapshot: %r", link.hello.to.number, error)
            self.report(message.to, False)
        except RaftStorageError as error:
            self.fail(error)
        else:
            self.report(message.to, True)

    async def _ship(self, link: Link, message: Message) -> None:
        with await asyncio.to_thread(self.store.open_snapshot) as snapshot:
            async with asyncio.timeout(_PATIENCE):
                reader, writer = await link.dial_for_snapshot()
            try:
                _decode_welcome(await _read(reader)).check()
                message = msgspec.structs.replace(message, snapshot=head_of(snapshot))
                writer.write(frame(encode_message(message, cluster=self.cluster)))
                writer.write(frame(_encode(_Size(snapshot.size, snapshot.checksum))))
                await _pump(snapshot, writer)
                _decode_welcome(await _read(reader)).check()
            finally:
                writer.close()

    def close(self) -> None:
        """Send no more."""
        for task in self._tasks.values():
            task.cancel()


async def _pump(snapshot: SnapshotReader, writer: asyncio.StreamWriter) -> None:
    pieces = snapshot.pieces(_PIECE)
    while piece := await asyncio.to_thread(next, pieces, b""):
        writer.write(frame(piece))
        async with asyncio.timeout(_PATIENCE):
            await writer.drain()


async def _read(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(_PATIENCE):
        size = int.from_bytes(await reader.readexactly(4), "big")
        if size > 2 * _PIECE:
            raise FrameError(f"a frame of {size} bytes where a snapshot goes in pieces")
        return await reader.readexactly(size)


async def receive(
    replica: Replica, cluster: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Take a snapshot from another node, on a connection that begins after the greeting."""
    try:
        message = decode_message(await _read(reader), cluster=cluster)
        draft = await _receive(replica.store, message, reader)
        replica.take_snapshot(message, draft)
        writer.write(frame(_encode(Welcome())))
        async with asyncio.timeout(_PATIENCE):
            await writer.drain()
    except (
        OSError,
        EOFError,
        NodeError,
        MessageError,
        NoSpaceError,
        msgspec.MsgspecError,
    ) as error:
        _log.warning("a snapshot did not come: %r", error)
    except RaftStorageError as error:
        replica.around.fail(error)
    finally:
        writer.close()


async def _receive(
    store: FileStorage, message: Message, reader: asyncio.StreamReader
) -> SnapshotWriter:
    snapshot = message.snapshot
    if message.type is not MessageType.SNAP or snapshot is None or snapshot.data:
        raise FrameError(f"{message.type.name} where the head of a snapshot should be")
    wanted = _decode_size(await _read(reader))
    draft = await asyncio.to_thread(
        store.write_snapshot, snapshot.index, snapshot.term, snapshot.conf_state
    )
    try:
        while draft.size < wanted.size:
            await asyncio.to_thread(draft.write, await _read(reader))
        await asyncio.to_thread(draft.finish)
        wanted.check(draft)
    except BaseException:
        draft.discard()
        raise
    return draft
