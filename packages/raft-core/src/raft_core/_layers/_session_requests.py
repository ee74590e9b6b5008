"""What clients ask of `Sessions`, as it stands in the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from raft_core._layers._numbers import Count, Number  # noqa: TC001 - msgspec needs them

if TYPE_CHECKING:
    from collections.abc import Callable


class SessionLimits(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """How much `Sessions` keeps. Part of the state, so the same on all replicas."""

    timeout: Count = 0
    """A session unused for so long, by the log's time, ends. 0: only `sessions` ends it."""
    sessions: Number = 10_000
    """Open at once; one more ends the one that has been unused for longest."""
    window: Number = 1_024
    """Answers kept for one session: it may be so many numbers ahead of what it has heard."""


class OpenRequest(msgspec.Struct, frozen=True, array_like=True, tag=0):
    """Open a session; the answer names it."""


class CommandRequest(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """Apply a command, once."""

    session: Number
    sequence: Number
    unanswered: Number
    """The lowest number without an answer, at most `sequence`."""
    command: bytes


class KeepRequest(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """Count as used, without a command."""

    session: Number


class CloseRequest(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """End a session that is not needed any longer."""

    session: Number


class LimitRequest(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """Change the limits, for all replicas at the same entry."""

    limits: SessionLimits


Request: TypeAlias = OpenRequest | CommandRequest | KeepRequest | CloseRequest | LimitRequest

encode: Final = msgspec.msgpack.Encoder().encode
decode: Final[Callable[[bytes], Request]] = msgspec.msgpack.Decoder(Request).decode

#: What to propose, or to send to a node, to open a session.
OPEN_SESSION: Final = encode(OpenRequest())


def limit_sessions(limits: SessionLimits) -> bytes:
    """Return what to propose to change the limits of `Sessions` on all replicas."""
    return encode(LimitRequest(limits))
