"""Requests to change who belongs to the group, as they stand in the log."""

from __future__ import annotations

from enum import IntEnum
from typing import TypeAlias

import msgspec

from raft_core._entries import CONF_CHANGE_TYPES, Entry, EntryType
from raft_core._errors import MalformedMessageError


class ConfChangeType(IntEnum):
    """What happens to one node."""

    ADD_NODE = 0
    """It becomes a voter."""
    REMOVE_NODE = 1
    UPDATE_NODE = 2
    """Nothing as far as Raft is concerned; the application reads the context."""
    ADD_LEARNER = 3
    """It receives the log and does not vote; a voter is demoted."""
    ADD_WITNESS = 4
    """It votes and acknowledges, and keeps the names of entries without their data."""


class ConfChangeTransition(IntEnum):
    """How a change comes into force."""

    AUTO = 0
    """At once for a single change, otherwise through a joint configuration left by itself."""
    JOINT_IMPLICIT = 1
    """Through a joint configuration, left by itself when it is committed."""
    JOINT_EXPLICIT = 2
    """Through a joint configuration that stays until an empty `ConfChangeV2` is proposed."""


class ConfChangeSingle(msgspec.Struct, frozen=True, array_like=True):
    """What happens to one node."""

    type: ConfChangeType
    node_id: int


class ConfChangeV2(msgspec.Struct, frozen=True, array_like=True):
    """Any number of changes that come into force together; none of them: leave the joint state."""

    changes: tuple[ConfChangeSingle, ...] = ()
    transition: ConfChangeTransition = ConfChangeTransition.AUTO
    context: bytes = b""

    @property
    def leaves_joint(self) -> bool:
        """Say whether this leaves a joint configuration."""
        return not self.changes and self.transition is ConfChangeTransition.AUTO

    @property
    def enters_joint(self) -> bool:
        """Say whether this needs a joint configuration.

        More than one change might alter two voters, and then majorities before and after need not
        overlap (dissertation section 4.3).
        """
        return self.transition is not ConfChangeTransition.AUTO or len(self.changes) > 1

    @property
    def auto_leave(self) -> bool:
        """Say whether the joint configuration is left without being asked."""
        return self.transition is not ConfChangeTransition.JOINT_EXPLICIT


class ConfChange(msgspec.Struct, frozen=True, array_like=True):
    """One change of one node (dissertation section 4.1)."""

    type: ConfChangeType
    node_id: int
    context: bytes = b""

    def as_v2(self) -> ConfChangeV2:
        """Return the same change in the general form."""
        return ConfChangeV2((ConfChangeSingle(self.type, self.node_id),), context=self.context)


AnyConfChange: TypeAlias = ConfChange | ConfChangeV2

_encoder = msgspec.msgpack.Encoder()
_decode_v1 = msgspec.msgpack.Decoder(ConfChange).decode
_decode_v2 = msgspec.msgpack.Decoder(ConfChangeV2).decode
_EMPTY = ConfChangeV2()


def conf_change_entry(change: AnyConfChange) -> Entry:
    """Return the entry to propose for a change.

    Leaving a joint configuration has no data, so that no limit on size can ever refuse it.
    """
    if isinstance(change, ConfChange):
        return Entry(data=_encoder.encode(change), type=EntryType.CONF_CHANGE)
    data = b"" if change == _EMPTY else _encoder.encode(change)
    return Entry(data=data, type=EntryType.CONF_CHANGE_V2)


def decode_conf_change(entry: Entry) -> AnyConfChange | None:
    """Return the change that an entry holds, or nothing for an entry of the application.

    Raises:
        MalformedMessageError: The data is no configuration change.

    """
    if entry.type not in CONF_CHANGE_TYPES:
        return None
    try:
        if entry.type is EntryType.CONF_CHANGE:
            return _decode_v1(entry.data)
        return _decode_v2(entry.data) if entry.data else _EMPTY
    except (msgspec.MsgspecError, ValueError) as error:
        raise MalformedMessageError(
            f"entry {entry.index} holds no configuration change: {error}"
        ) from error
