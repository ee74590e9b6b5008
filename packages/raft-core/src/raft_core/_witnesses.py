"""Voters that keep no data: cheap third votes for two full copies.

A witness votes and acknowledges like any voter, on the names of entries alone: the leader sends it
each entry of the application without its data. So it can never lead, and nothing is applied on it.

Three rules make that work. Every quorum has a voter with the data in it, so in each half of a
configuration witnesses are fewer than a quorum. And a disk that lacks data never becomes a full
voter's: who is a witness stays one until it is removed, and a node says of itself what it is
(`Config.witness`). And a witness is sent only what a voter with data holds on its disk, one that
stays: were it to hold an entry alone, nobody could ever be elected with a log as good.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from raft_core._entries import CONF_CHANGE_TYPES, Entry, EntryType
from raft_core._errors import ConfChangeError

if TYPE_CHECKING:
    from raft_core._states import ConfState


def check_witnesses(conf: ConfState) -> None:
    """Refuse a configuration in which a quorum could be without the data.

    Raises:
        ConfChangeError: It is one.

    """
    if not set(conf.witnesses) <= set(conf.all_voters):
        raise ConfChangeError("witnesses must be voters")
    for half in (conf.voters, conf.voters_outgoing):
        if 2 * len(set(conf.witnesses) & set(half)) > len(half):
            raise ConfChangeError("a quorum of witnesses would hold no data")


def loses_data(before: ConfState, after: ConfState) -> bool:
    """Say whether a simple change takes away what may be the only electable copy.

    Quorums before and after it overlap, but perhaps in a witness alone: then nobody who is left has
    a log as good as the witness's. In a joint configuration a quorum of those who are left has all
    that is committed, and in every quorum is one with data.
    """
    full = set(before.voters) - set(before.witnesses)
    return bool(before.witnesses) and not full <= set(after.voters)


def without_data(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """Return entries as a witness holds them: changes of members whole, of others the name."""
    return tuple([_name_of(entry) for entry in entries])


def _name_of(entry: Entry) -> Entry:
    if entry.type in CONF_CHANGE_TYPES or not entry.data:
        return entry
    return msgspec.structs.replace(entry, data=b"", type=EntryType.WITNESSED)
