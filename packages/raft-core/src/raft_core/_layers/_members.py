"""Members by number and disk, so that a wiped disk is another voter.

A vote and an acknowledgement are promises of a disk. A node that lost its disk and comes back under
its old name breaks promises it does not know of, and with that two leaders of one term or a lost
entry become possible. So a member's id in Raft is made from its number, which people use, and the
id of its directory, which a new disk has not (KIP-853 calls the pair a replica key). Whoever comes
back empty has another id: the group does not count on it until a change of members says so.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final, Literal
from uuid import UUID  # noqa: TC003 - msgspec needs it

import attrs
import msgspec

from raft_core._changer import apply_change, check_conf_state
from raft_core._conf_changes import (
    AnyConfChange,
    ConfChange,
    ConfChangeSingle,
    ConfChangeType,
    ConfChangeV2,
)
from raft_core._entries import NO_NODE
from raft_core._errors import ConfChangeError, MalformedSnapshotError
from raft_core._layers._numbers import Count  # noqa: TC001 - msgspec needs it
from raft_core._messages import APPLY_THREAD
from raft_core._states import ConfState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from raft_core._node import Node


class Member(msgspec.Struct, frozen=True, array_like=True, order=True):
    """A node with its disk."""

    number: Count
    """What people call it; a new disk may take it over."""
    directory: UUID
    """What the disk calls itself: drawn once, when its storage is made, and kept there."""
    address: str = ""
    """Where to reach it, if that is of use to the application."""

    @property
    def node_id(self) -> int:
        """Return the id for `Config` and `ConfState`: of this number on this disk."""
        data = self.number.to_bytes(8, "big") + self.directory.bytes
        digest = blake2b(data, digest_size=8, person=b"raft-core member").digest()
        return 1 + int.from_bytes(digest, "big") % (APPLY_THREAD - 1)


class _State(msgspec.Struct, frozen=True, array_like=True):
    version: Literal[1]
    conf: ConfState
    members: list[Member]


_encode: Final = msgspec.msgpack.Encoder().encode
_decode_state: Final = msgspec.msgpack.Decoder(_State).decode
_decode_members: Final = msgspec.msgpack.Decoder(tuple[Member, ...]).decode


def _nobody() -> dict[int, Member]:
    return {}


@attrs.define
class Members:
    """Who belongs to the group, by name: a state machine beside the application's own.

    It keeps one rule besides Raft's: no two voters have the same number. A new disk may listen as
    a learner beside the voter that it is to replace.
    """

    conf: ConfState = attrs.field(factory=ConfState, init=False)
    """The configuration as of the last entry applied."""
    _members: dict[int, Member] = attrs.field(factory=_nobody, init=False)

    @classmethod
    def founded_by(cls, members: Iterable[Member]) -> Members:
        """Return the state that a new group begins with, for the snapshot all its nodes start from.

        Raises:
            ConfChangeError: Two have the same number.

        """
        founded = cls()
        for member in members:
            founded._members[member.node_id] = member
        founded.conf = ConfState(voters=tuple(sorted(founded._members)))
        founded._check(founded.conf)
        return founded

    def __iter__(self) -> Iterator[Member]:
        """Yield the members, by number."""
        return iter(sorted(self._members.values()))

    def get(self, node_id: int) -> Member | None:
        """Return who has an id in Raft."""
        return self._members.get(node_id)

    # Changes to propose

    def add_voter(self, member: Member) -> ConfChangeV2:
        """Return the change that makes somebody a voter, new or a learner so far.

        Raises:
            ConfChangeError: A voter on another disk has its number: `replace` that one.

        """
        return self._checked((ConfChangeType.ADD_NODE, member))

    def add_learner(self, member: Member) -> ConfChangeV2:
        """Return the change that makes somebody a learner, new or a voter so far.

        Raises:
            ConfChangeError: No voter would be left.

        """
        return self._checked((ConfChangeType.ADD_LEARNER, member))

    def add_witness(self, member: Member) -> ConfChangeV2:
        """Return the change that makes somebody new a voter that keeps no data.

        Raises:
            ConfChangeError: They are a member already, or a quorum would hold no data.

        """
        return self._checked((ConfChangeType.ADD_WITNESS, member))

    def remove(self, member: Member) -> ConfChangeV2:
        """Return the change that removes somebody.

        Raises:
            ConfChangeError: They are not a member, not with this disk; or no voter would be left.

        """
        self._check_known(member)
        return self._checked((ConfChangeType.REMOVE_NODE, member))

    def replace(self, old: Member, new: Member) -> ConfChangeV2:
        """Return the change that puts one voter in the place of another, through a joint state.

        Raises:
            ConfChangeError: The old one is not a member, not with this disk.

        """
        self._check_known(old)
        return self._checked((ConfChangeType.REMOVE_NODE, old), (ConfChangeType.ADD_NODE, new))

    def _check_known(self, member: Member) -> None:
        if member.node_id not in self._members:
            raise ConfChangeError(
                f"no member has number {member.number} on the disk {member.directory}"
            )

    def _checked(self, *changes: tuple[ConfChangeType, Member]) -> ConfChangeV2:
        singles = tuple(ConfChangeSingle(kind, member.node_id) for kind, member in changes)
        added = [member for kind, member in changes if kind is not ConfChangeType.REMOVE_NODE]
        change = ConfChangeV2(singles, context=_encode(added))
        self._check(apply_change(self.conf, change), added)
        return change

    def _check(self, conf: ConfState, added: Iterable[Member] = ()) -> None:
        known = {**self._members, **{member.node_id: member for member in added}}
        numbers: dict[int, Member] = {}
        for voter in conf.voters:
            member = known.get(voter)
            if member is not None and numbers.setdefault(member.number, member) != member:
                raise ConfChangeError(
                    f"number {member.number} votes on the disks {member.directory} and "
                    f"{numbers[member.number].directory}: replace the one by the other"
                )

    # The state machine

    def apply(self, node: Node, change: AnyConfChange, index: int) -> ConfState:
        """Put a committed change into force in a node and here; return the configuration.

        It takes the place of `Node.apply_conf_change`. A change that breaks the rule of this class,
        because it was made from an older state, is cancelled on every node alike.

        Raises:
            ConfChangeError: It leads to no valid configuration; the old one stays.

        """
        general = change.as_v2() if isinstance(change, ConfChange) else change
        added = _added(general)
        try:
            self._check(apply_change(self.conf, general), added)
        except ConfChangeError:
            cancelled = tuple(ConfChangeSingle(one.type, NO_NODE) for one in general.changes)
            general, added = ConfChangeV2(cancelled, general.transition), ()
        conf = node.apply_conf_change(general, index)
        members = {**self._members, **{member.node_id: member for member in added}}
        self.conf = conf
        self._members = {one: members[one] for one in conf.members if one in members}
        return conf

    # Snapshots

    def snapshot(self) -> bytes:
        """Return the whole state."""
        return _encode(_State(1, self.conf, sorted(self._members.values())))

    def restore(self, data: bytes) -> None:
        """Take over a state; empty bytes: nobody is known.

        Raises:
            MalformedSnapshotError: The bytes are no such state. The own one stays.

        """
        try:
            state = _decode_state(data) if data else _State(1, ConfState(), [])
            check_conf_state(state.conf)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise MalformedSnapshotError(f"no state of members: {error}") from error
        self.conf = state.conf
        self._members = {member.node_id: member for member in state.members}


def _added(change: ConfChangeV2) -> tuple[Member, ...]:
    """Return the members that a change names, if whoever made it named those it adds."""
    try:
        members = _decode_members(change.context)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return ()  # made without `Members`: the context means something else
    ids = [one.node_id for one in change.changes]
    return tuple([member for member in members if member.node_id in ids])
