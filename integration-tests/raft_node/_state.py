"""All that a node makes of its log: who belongs to the group, who has asked what, and the table.

As a snapshot it is a row of frames, so that no state is ever in memory twice: the first holds the
members and the sessions, the others are pieces of the machine's own state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs
import msgspec

from raft_core import LogClock, MalformedSnapshotError, Members, Sessions

from ._errors import FrameError
from ._frames import Splitter, frame

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from raft_core import Command, SessionReply

    from ._machine import Machine


class _Head(msgspec.Struct, frozen=True, array_like=True):
    members: bytes
    log: bytes


_encode: Final = msgspec.msgpack.Encoder().encode
_decode_head: Final = msgspec.msgpack.Decoder(_Head).decode


class _Apart:
    """A machine as the layers around it see it: its own state is no part of theirs."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def apply(self, command: Command) -> bytes:
        """Let the machine do it."""
        return self._machine.apply(command)

    def snapshot(self) -> bytes:
        """Return nothing: see `Machine.pieces`."""
        return b""

    def restore(self, data: bytes) -> None:
        """Take nothing over."""
        if data:
            raise MalformedSnapshotError("the layers' state holds the machine's")


@attrs.define(eq=False)
class State:
    """Members, sessions and machine."""

    machine: Machine
    members: Members = attrs.field(factory=Members)
    log: LogClock[SessionReply] = attrs.field(init=False)
    """The sessions of clients around the machine, and the time that they end by."""

    def __attrs_post_init__(self) -> None:
        self.log = LogClock(Sessions(_Apart(self.machine)))

    def frames(self) -> Iterator[bytes]:
        """Return the state as of now, in pieces that are made one by one, in any thread."""
        head = frame(_encode(_Head(self.members.snapshot(), self.log.snapshot())))
        pieces = self.machine.pieces()

        def made() -> Iterator[bytes]:
            yield head
            for piece in pieces:
                yield frame(piece)

        return made()

    def restore(self, data: Iterable[bytes]) -> None:
        """Take over a state, which comes in pieces cut anywhere.

        Raises:
            MalformedSnapshotError: It is none. What this object is then is of no use.

        """
        frames = _split(data)
        head = next(frames, None)
        if head is None:
            raise MalformedSnapshotError("a snapshot of nothing")
        try:
            layers = _decode_head(head)
        except (msgspec.MsgspecError, ValueError) as error:
            raise MalformedSnapshotError(f"no state of a node: {error}") from error
        self.members.restore(layers.members)
        self.log.restore(layers.log)
        self.machine.load(frames)


def _split(data: Iterable[bytes]) -> Iterator[bytes]:
    splitter = Splitter()
    try:
        for piece in data:
            yield from splitter.feed(piece)
    except FrameError as error:
        raise MalformedSnapshotError(f"no state of a node: {error}") from error
    if splitter.holds:
        raise MalformedSnapshotError("the state of a node ends in the middle of a frame")
