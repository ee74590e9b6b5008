"""Configuration changes as pure functions from one `ConfState` to the next.

Single changes (dissertation section 4.1) alter one voter at most, so majorities before and after
overlap. Anything else goes through a joint configuration (section 4.3). Every function returns a
configuration that keeps the rules of `check_conf_state`, or raises and changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs
import msgspec

from raft_core._conf_changes import ConfChangeSingle, ConfChangeType, ConfChangeV2
from raft_core._entries import NO_NODE
from raft_core._errors import ConfChangeError
from raft_core._states import ConfState
from raft_core._witnesses import check_witnesses, loses_data

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_ADDITIONS: Final = frozenset(
    {ConfChangeType.ADD_NODE, ConfChangeType.ADD_LEARNER, ConfChangeType.ADD_WITNESS}
)


@attrs.define
class _Draft:
    """A configuration being changed; sets here, sorted tuples in the `ConfState` it becomes."""

    voters: set[int]
    learners: set[int]
    outgoing: set[int]
    learners_next: set[int]
    witnesses: set[int]

    @classmethod
    def of(cls, conf: ConfState) -> _Draft:
        return cls(
            set(conf.voters),
            set(conf.learners),
            set(conf.voters_outgoing),
            set(conf.learners_next),
            set(conf.witnesses),
        )

    def conf_state(self, *, auto_leave: bool) -> ConfState:
        conf = ConfState(
            voters=tuple(sorted(self.voters)),
            learners=tuple(sorted(self.learners)),
            voters_outgoing=tuple(sorted(self.outgoing)),
            learners_next=tuple(sorted(self.learners_next)),
            auto_leave=auto_leave,
            witnesses=tuple(sorted(self.witnesses & (self.voters | self.outgoing))),
        )
        check_witnesses(conf)
        return conf

    def apply(self, changes: Iterable[ConfChangeSingle]) -> None:
        for change in changes:
            # An application cancels a change it does not want by setting the id to nobody.
            if change.node_id != NO_NODE:
                self._apply_one(change)
        if not self.voters:
            raise ConfChangeError("removed all voters")

    def _apply_one(self, change: ConfChangeSingle) -> None:
        if change.type in _ADDITIONS:
            self._check_kind(change)
        if change.type is ConfChangeType.ADD_NODE:
            self._remove(change.node_id)
            self.voters.add(change.node_id)
        elif change.type is ConfChangeType.ADD_LEARNER:
            self._make_learner(change.node_id)
        elif change.type is ConfChangeType.ADD_WITNESS:
            self.voters.add(change.node_id)
            self.witnesses.add(change.node_id)
        elif change.type is ConfChangeType.REMOVE_NODE:
            self._remove(change.node_id)

    def _check_kind(self, change: ConfChangeSingle) -> None:
        """Refuse to make a witness of another member, or the reverse: it lacks data, or has it."""
        member, is_witness = change.node_id, change.node_id in self.witnesses
        known = member in self.voters | self.learners | self.outgoing | self.learners_next
        if (known or is_witness) and is_witness != (change.type is ConfChangeType.ADD_WITNESS):
            raise ConfChangeError(f"{member} is {'a' if is_witness else 'no'} witness and stays so")

    def _make_learner(self, node_id: int) -> None:
        self._remove(node_id)
        # Who still votes in the outgoing half becomes a learner when that half is left.
        (self.learners_next if node_id in self.outgoing else self.learners).add(node_id)

    def _remove(self, node_id: int) -> None:
        self.voters.discard(node_id)
        self.learners.discard(node_id)
        self.learners_next.discard(node_id)


def simple(conf: ConfState, changes: Sequence[ConfChangeSingle]) -> ConfState:
    """Return the configuration after changes that alter one voter at most.

    Raises:
        ConfChangeError: More than one voter would change, none would be left, or the
            configuration is joint.

    """
    if conf.is_joint:
        raise ConfChangeError("can't apply simple config change in joint config")
    draft = _Draft.of(conf)
    draft.apply(changes)
    if len(draft.voters.symmetric_difference(conf.voters)) > 1:
        raise ConfChangeError("more than one voter changed without entering joint config")
    return draft.conf_state(auto_leave=False)


def enter_joint(
    conf: ConfState, changes: Sequence[ConfChangeSingle], *, auto_leave: bool
) -> ConfState:
    """Return the joint configuration in which the voters before and after both decide.

    Raises:
        ConfChangeError: The configuration is joint already, has no voters, or would have none.

    """
    if conf.is_joint:
        raise ConfChangeError("config is already joint")
    if not conf.voters:
        raise ConfChangeError("can't make a zero-voter config joint")
    draft = _Draft.of(conf)
    draft.outgoing = set(draft.voters)
    draft.apply(changes)
    return draft.conf_state(auto_leave=auto_leave)


def leave_joint(conf: ConfState) -> ConfState:
    """Return the configuration in which the incoming voters decide alone.

    Raises:
        ConfChangeError: The configuration is not joint.

    """
    if not conf.is_joint:
        raise ConfChangeError("can't leave a non-joint config")
    draft = _Draft.of(conf)
    draft.learners |= draft.learners_next
    draft.learners_next.clear()
    draft.outgoing.clear()
    return draft.conf_state(auto_leave=False)


def apply_change(conf: ConfState, change: ConfChangeV2) -> ConfState:
    """Return the configuration after a change, in whichever way it asks for.

    Beside witnesses, a voter with data goes through a joint configuration, whatever is asked for.

    Raises:
        ConfChangeError: The change leads to no valid configuration.

    """
    if change.leaves_joint:
        return leave_joint(conf)
    if not change.enters_joint:
        changed = simple(conf, change.changes)
        if not loses_data(conf, changed):
            return changed
    return enter_joint(conf, change.changes, auto_leave=change.auto_leave)


def check_conf_state(conf: ConfState) -> None:
    """Refuse a configuration that no sequence of changes leads to.

    The empty configuration is valid: a node that has yet to be told who belongs to its group.

    Raises:
        ConfChangeError: A rule is broken.

    """
    for field in ("voters", "learners", "voters_outgoing", "learners_next", "witnesses"):
        ids: tuple[int, ...] = getattr(conf, field)
        if ids != tuple(sorted(set(ids))) or NO_NODE in ids:
            raise ConfChangeError(f"{field} must be sorted ids, each once and none of them 0")
    if set(conf.learners) & {*conf.voters, *conf.voters_outgoing}:
        raise ConfChangeError("somebody is both learner and voter")
    if not set(conf.learners_next) <= set(conf.voters_outgoing):
        raise ConfChangeError("learners_next must be voters of the outgoing half")
    if set(conf.learners_next) & set(conf.voters):
        raise ConfChangeError("learners_next must not be voters of the incoming half")
    if not conf.is_joint and conf.auto_leave:
        raise ConfChangeError("only a joint configuration can be left")
    check_witnesses(conf)
    if not conf.voters and conf != ConfState():
        raise ConfChangeError("removed all voters")


def normalized(conf: ConfState) -> ConfState:
    """Return the configuration with each list of ids sorted and without repetition."""
    return msgspec.structs.replace(
        conf,
        voters=tuple(sorted(set(conf.voters))),
        learners=tuple(sorted(set(conf.learners))),
        voters_outgoing=tuple(sorted(set(conf.voters_outgoing))),
        learners_next=tuple(sorted(set(conf.learners_next))),
        witnesses=tuple(sorted(set(conf.witnesses))),
    )
