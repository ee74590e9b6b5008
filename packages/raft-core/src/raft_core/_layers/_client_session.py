"""A client's side of its session."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from raft_core._errors import UsageError
from raft_core._layers._session_requests import (
    CloseRequest,
    CommandRequest,
    KeepRequest,
    SessionLimits,
    encode,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from raft_core._layers._sessions import SessionReply


def _nothing() -> dict[int, bytes]:
    return {}


@attrs.define
class ClientSession:
    """Numbers a client's commands and remembers which are without an answer.

    It does no I/O: send what it returns to any node, as often as it takes, and give it what comes
    back. A repetition must be the same bytes; `unanswered` has them.
    """

    id: int
    """What the answer to `OPEN_SESSION` named."""
    window: int = SessionLimits().window
    """How many commands may wait for an answer; at most the window of the nodes' `Sessions`."""
    _next: int = attrs.field(default=1, init=False)
    _unanswered: dict[int, bytes] = attrs.field(factory=_nothing, init=False)

    @property
    def unanswered(self) -> Mapping[int, bytes]:
        """Return the requests to send again after a timeout or a lost connection, in order."""
        return self._unanswered

    @property
    def has_room(self) -> bool:
        """Say whether one more command fits into the window."""
        return self._next < next(iter(self._unanswered), self._next) + self.window

    def request(self, command: bytes) -> tuple[int, bytes]:
        """Return a new command's number and the bytes to send.

        Raises:
            UsageError: The window is full; wait for answers.

        """
        if not self.has_room:
            raise UsageError(f"session {self.id} has {self.window} commands under way already")
        sequence = self._next
        lowest = next(iter(self._unanswered), sequence)
        data = encode(CommandRequest(self.id, sequence, lowest, command))
        self._next = sequence + 1
        self._unanswered[sequence] = data
        return sequence, data

    def answered(self, reply: SessionReply) -> bool:
        """Take a reply with a command's result; say whether that command was still waiting.

        Replies that bring no result (`SessionStatus`) are the caller's matter: repeat, or give up.
        """
        return not reply.status and self._unanswered.pop(reply.sequence, None) is not None

    def keep(self) -> bytes:
        """Return what to send so that an idle session does not end."""
        return encode(KeepRequest(self.id))

    def close(self) -> bytes:
        """Return what to send when the session is not needed any more."""
        return encode(CloseRequest(self.id))
