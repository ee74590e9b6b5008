"""Which states of the protocol runs have been in."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from raft_core._messages import LOCAL_TYPES, MessageType
from raft_core._progress import ProgressState
from raft_core._states import Role

if TYPE_CHECKING:
    from collections.abc import Mapping

    from raft_core._messages import Message
    from raft_core._raft import Raft

_Key = TypeVar("_Key")


class Coverage:
    """Counts of what happened.

    Attributes:
        messages: By type of message, role of who got it, and, at a leader, the state of its
            progress for who sent it.
        events: By name: crashes, elections, snapshots, changes of members and so on.

    """

    __slots__ = ("events", "messages")

    def __init__(self) -> None:
        self.messages: dict[tuple[MessageType, Role, ProgressState | None], int] = {}
        self.events: dict[str, int] = {}

    def note(self, raft: Raft, message: Message) -> None:
        """Count a message that is about to be taken."""
        state = None
        if raft.role is Role.LEADER:
            progress = raft.tracker.progress.get(message.sender)
            if progress is not None:
                state = progress.state
        key = (message.type, raft.role, state)
        self.messages[key] = self.messages.get(key, 0) + 1

    def count(self, event: str) -> None:
        """Count an event."""
        self.events[event] = self.events.get(event, 0) + 1

    def add(self, other: Coverage) -> None:
        """Add the counts of another run."""
        _add(self.messages, other.messages)
        _add(self.events, other.events)

    def missing(self) -> list[tuple[MessageType, Role]]:
        """Return the pairs of a network message and a role that no run came to."""
        seen = {(kind, role) for kind, role, _ in self.messages}
        return [
            (kind, role)
            for kind in MessageType
            if kind not in LOCAL_TYPES
            for role in Role
            if (kind, role) not in seen
        ]

    def lines(self) -> list[str]:
        """Return it as a Markdown table of messages by role, and a list of events."""
        heads = [role.name.lower() for role in Role]
        states = [state.name.lower() for state in ProgressState]
        lines = [
            f"| message | {' | '.join(heads)} | leader, sender in {' | '.join(states)} |",
            f"| --- |{' ---: |' * (len(heads) + len(states))}",
        ]
        for kind in MessageType:
            roles = [self._sum(kind, role) for role in Role]
            counts = [self.messages.get((kind, Role.LEADER, state), 0) for state in ProgressState]
            if any(roles):
                row = " | ".join(f"{count:,}" for count in (*roles, *counts))
                lines.append(f"| {kind.name} | {row} |")
        lines.append("")
        lines += [f"- {name}: {self.events[name]:,}" for name in sorted(self.events)]
        return lines

    def _sum(self, kind: MessageType, role: Role) -> int:
        return sum(
            count
            for (one, other, _), count in self.messages.items()
            if (one, other) == (kind, role)
        )


def _add(ours: dict[_Key, int], theirs: Mapping[_Key, int]) -> None:
    for key, count in theirs.items():
        ours[key] = ours.get(key, 0) + count
