"""What a node is at a moment: the part it must never forget, and the part it may."""

from __future__ import annotations

from enum import IntEnum

import attrs
import msgspec

from raft_core._entries import NO_NODE


class Role(IntEnum):
    """The part a node plays (Raft paper, figure 4; pre-candidate: dissertation section 9.6)."""

    FOLLOWER = 0
    CANDIDATE = 1
    LEADER = 2
    PRE_CANDIDATE = 3


class HardState(msgspec.Struct, frozen=True, array_like=True):
    """What must survive a crash, besides the log. Written as one record, never in parts.

    Term and vote must be on disk before any message that follows from them leaves (dissertation
    section 3.8). The commit index may lag behind without harm.
    """

    term: int = 0
    vote: int = NO_NODE
    commit: int = 0


@attrs.frozen
class SoftState:
    """What a node believes at the moment. It need not survive anything."""

    lead: int = NO_NODE
    role: Role = Role.FOLLOWER


@attrs.frozen
class ReadState:
    """The answer to `read_index`.

    A read issued with `context` sees everything acknowledged before it was asked, if it runs when
    `index` has been applied.
    """

    index: int
    context: bytes


class ConfState(msgspec.Struct, frozen=True, array_like=True):
    """Who belongs to the group. Each tuple is sorted and without repetition.

    A joint configuration (dissertation section 4.3) has `voters_outgoing`; a decision then needs a
    majority of `voters` and a majority of `voters_outgoing`. `learners_next` are those who vote
    in the outgoing half and become learners when it is left: nobody is voter and learner at once.
    `witnesses` are those voters that hold entries without their data; see `_witnesses`.
    """

    voters: tuple[int, ...] = ()
    learners: tuple[int, ...] = ()
    voters_outgoing: tuple[int, ...] = ()
    learners_next: tuple[int, ...] = ()
    auto_leave: bool = False
    witnesses: tuple[int, ...] = ()

    @property
    def is_joint(self) -> bool:
        """Say whether two majorities decide."""
        return bool(self.voters_outgoing)

    @property
    def all_voters(self) -> tuple[int, ...]:
        """Return the voters of both halves, sorted."""
        if not self.voters_outgoing:
            return self.voters
        return tuple(sorted({*self.voters, *self.voters_outgoing}))

    @property
    def members(self) -> tuple[int, ...]:
        """Return everybody that entries are sent to, sorted."""
        return tuple(sorted({*self.voters, *self.voters_outgoing, *self.learners}))


class Snapshot(msgspec.Struct, frozen=True, array_like=True):
    """The application's state after everything up to `index`, in place of those entries."""

    index: int = 0
    term: int = 0
    conf_state: ConfState = ConfState()
    data: bytes = b""
