"""Every command takes effect exactly once, however often it is sent (dissertation section 6.3).

A client that hears no answer must ask again, and then its command may be in the log twice. So it
opens a session, numbers its commands, and sends with each the lowest number it still waits for. The
state machine applies a number once, keeps the answer until the client has it, and gives the same
answer to every repetition.

A session nobody uses ends: by the log's time, or because too many have been opened since. Then it
is unknown whether a command that went without an answer took effect, and saying so is all that can
be done. All replicas end a session at the same entry.
"""

from __future__ import annotations

from collections import OrderedDict
from enum import IntEnum
from typing import Final, Literal

import attrs
import msgspec

from raft_core._errors import MalformedSnapshotError
from raft_core._layers._machine import Command, StateMachine
from raft_core._layers._numbers import Count, Number  # noqa: TC001 - msgspec needs them
from raft_core._layers._session_requests import (
    CloseRequest,
    CommandRequest,
    KeepRequest,
    LimitRequest,
    OpenRequest,
    SessionLimits,
    decode,
)


class SessionStatus(IntEnum):
    """What became of a request."""

    OK = 0
    EXPIRED = 1
    """There is no such session (any more). Whether an earlier copy took effect is unknown."""
    SUPERSEDED = 2
    """The client has said that it has the answer to this number; it is not kept any longer."""
    WINDOW_FULL = 3
    """Too far above the lowest number without an answer. It took no effect; send it later."""
    MALFORMED = 4
    """The bytes are no request. They took no effect."""


class SessionReply(msgspec.Struct, frozen=True, array_like=True):
    """The answer to one request."""

    status: SessionStatus
    session: int = 0
    """Whose request it was; for an opened session its id."""
    sequence: int = 0
    """The number of the command; 0 where it was none."""
    result: bytes = b""
    """What the application's state machine answered."""


class _Session(msgspec.Struct, array_like=True):
    id: Number
    used: Count
    unanswered: Number = 1
    #: By number, in the order of the log. All numbers are at or above `unanswered`.
    results: dict[Number, bytes] = {}


class _State(msgspec.Struct, frozen=True, array_like=True):
    version: Literal[1]
    limits: SessionLimits
    #: Longest unused first.
    sessions: list[_Session]
    machine: bytes


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(_State).decode


def _no_sessions() -> OrderedDict[int, _Session]:
    return OrderedDict()


@attrs.define
class Sessions:
    """A layer that lets each command of a client through to a state machine exactly once.

    `limits` is what a log without any snapshot begins with, so it must be the same on all replicas;
    change it later through the log, with `limit_sessions`.
    """

    machine: StateMachine[bytes]
    limits: SessionLimits = attrs.field(factory=SessionLimits)
    _first_limits: SessionLimits = attrs.field(init=False)
    #: In the order of use, so those to end are in front.
    _sessions: OrderedDict[int, _Session] = attrs.field(factory=_no_sessions, init=False)

    def __attrs_post_init__(self) -> None:
        """Remember what the empty state is."""
        self._first_limits = self.limits

    def __len__(self) -> int:
        """Return how many sessions are open."""
        return len(self._sessions)

    def __contains__(self, session: int) -> bool:
        """Say whether a session is open, by the entries applied so far."""
        return session in self._sessions

    # The state machine

    def apply(self, command: Command) -> SessionReply:
        """Do what a client asks, unless it is done already; return the answer, the same as then."""
        self._end_unused(command.time)
        try:
            request = decode(command.data)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return SessionReply(SessionStatus.MALFORMED)
        match request:
            case CommandRequest():
                return self._command(command, request)
            case OpenRequest():
                return self._open(command)
            case KeepRequest(session=session):
                found = self._use(session, command.time) is not None
                return SessionReply(_status(found), session)
            case CloseRequest(session=session):
                found = self._sessions.pop(session, None) is not None
                return SessionReply(_status(found), session)
            case LimitRequest(limits=limits):
                self.limits = limits
                self._end_surplus(limits.sessions)
                return SessionReply(SessionStatus.OK)

    def _open(self, command: Command) -> SessionReply:
        self._end_surplus(self.limits.sessions - 1)
        # No other entry has this index, so no other session this name, not even one long ended.
        self._sessions[command.index] = _Session(command.index, command.time)
        return SessionReply(SessionStatus.OK, command.index)

    def _command(self, command: Command, request: CommandRequest) -> SessionReply:
        sequence = request.sequence
        session = self._use(request.session, command.time)
        if session is None:
            return SessionReply(SessionStatus.EXPIRED, request.session, sequence)
        if request.unanswered > sequence:
            return SessionReply(SessionStatus.MALFORMED, session.id, sequence)
        self._forget_answered(session, request.unanswered)
        if sequence < session.unanswered:
            return SessionReply(SessionStatus.SUPERSEDED, session.id, sequence)
        if sequence not in session.results:
            if sequence >= session.unanswered + self.limits.window:
                return SessionReply(SessionStatus.WINDOW_FULL, session.id, sequence)
            session.results[sequence] = self.machine.apply(
                Command(command.index, command.term, command.time, request.command)
            )
        return SessionReply(SessionStatus.OK, session.id, sequence, session.results[sequence])

    @staticmethod
    def _forget_answered(session: _Session, unanswered: int) -> None:
        # Repetitions arrive in any order; an older one knows less and takes nothing back.
        if unanswered > session.unanswered:
            session.unanswered = unanswered
            session.results = {
                sequence: result
                for sequence, result in session.results.items()
                if sequence >= unanswered
            }

    # Ends of sessions

    def _use(self, session_id: int, time: int) -> _Session | None:
        session = self._sessions.get(session_id)
        if session is not None:
            session.used = time
            self._sessions.move_to_end(session_id)
        return session

    def _end_unused(self, time: int) -> None:
        timeout = self.limits.timeout
        while timeout and self._sessions:
            longest_unused = next(iter(self._sessions.values()))
            if longest_unused.used + timeout > time:
                return
            self._sessions.popitem(last=False)

    def _end_surplus(self, room: int) -> None:
        while len(self._sessions) > room:
            self._sessions.popitem(last=False)

    # Snapshots

    def snapshot(self) -> bytes:
        """Return the whole state: sessions with their answers, and what they guard."""
        return _encode(
            _State(1, self.limits, list(self._sessions.values()), self.machine.snapshot())
        )

    def restore(self, data: bytes) -> None:
        """Take over a state; empty bytes: the state before everything.

        Raises:
            MalformedSnapshotError: The bytes are no such state. The own one stays.

        """
        try:
            state = _decode(data) if data else _State(1, self._first_limits, [], b"")
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise MalformedSnapshotError(f"no state of sessions: {error}") from error
        self.machine.restore(state.machine)
        self.limits = state.limits
        self._sessions = OrderedDict((session.id, session) for session in state.sessions)


def _status(found: bool) -> SessionStatus:
    return SessionStatus.OK if found else SessionStatus.EXPIRED
