"""Changes of who belongs to the group, as clients ask for them.

A change is made from the members that the leader has applied, and one at a time is under way. It is
done when it is in force and no joint configuration is left: from then on whoever was removed may
be switched off. Asking for what is in force already is no error, so a client may ask again.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Final

import msgspec

from raft_core import ConfChangeError, Member, ProgressState

if TYPE_CHECKING:
    from raft_core import ConfChangeV2, Members, Node


class Action(IntEnum):
    """What a change does. The numbers are the wire format."""

    ADD_LEARNER = 1
    """Let somebody have the log, without a vote."""
    ADD_VOTER = 2
    """Let somebody vote; a learner if it has caught up."""
    REMOVE = 3
    REPLACE = 4
    """Put a voter in the place of another, in one step: a new disk in that of a lost one."""


class Change(msgspec.Struct, frozen=True, array_like=True):
    """A change of who belongs to the group."""

    action: Action
    member: Member
    old: Member | None = None
    """Whose place it is that a member takes."""


class Standing(msgspec.Struct, frozen=True, array_like=True):
    """Somebody's part in the group."""

    member: Member
    votes: bool


_encode: Final = msgspec.msgpack.Encoder().encode
decode_change: Final = msgspec.msgpack.Decoder(Change).decode


def standings(members: Members) -> bytes:
    """Return everybody's part, as MessagePack."""
    voters = members.conf.all_voters
    return _encode([Standing(member, member.node_id in voters) for member in members])


def in_force(members: Members, change: Change) -> bool:
    """Say whether there is nothing to do, or nothing any more."""
    conf, node = members.conf, change.member.node_id
    if conf.is_joint:
        return False
    if change.action is Action.ADD_LEARNER:
        return node in conf.learners
    if change.action is Action.REMOVE:
        return node not in conf.members
    return node in conf.voters and (change.old is None or change.old.node_id not in conf.members)


def to_propose(members: Members, change: Change) -> ConfChangeV2:
    """Return the change as Raft has it.

    Raises:
        ConfChangeError: It makes no sense for these members.

    """
    member, old = change.member, change.old
    if change.action is Action.ADD_LEARNER:
        return members.add_learner(member)
    if change.action is Action.ADD_VOTER:
        return members.add_voter(member)
    if change.action is Action.REMOVE:
        return members.remove(member)
    if old is None:
        raise ConfChangeError("whose place is it to take?")
    return members.replace(old, member)


def lags(node: Node, change: Change) -> bool:
    """Say whether a learner that is to vote is not there yet: the group would wait for its log."""
    progress = node.status().progress.get(change.member.node_id)
    votes = change.action in (Action.ADD_VOTER, Action.REPLACE)
    return votes and progress is not None and progress.state is not ProgressState.REPLICATE
