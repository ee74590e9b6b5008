"""The promises that are checked after every step, on one host at a time.

Everything is compared with what is known of the whole run: who led which term, which entry has
which name, what was committed. A check costs what has changed since the last one on that host.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from raft_core._entries import CONF_CHANGE_TYPES, Entry, EntryType
from raft_core._messages import Message, MessageType
from raft_core._states import ConfState, Role, Snapshot
from raft_core.simulation._store import Store
from raft_core.simulation._violation import Invariant, InvariantViolationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from raft_core._raft import Raft
    from raft_core.simulation._host import Host
    from raft_core.simulation._store import Answer

#: All founders start from a snapshot here.
BOOTSTRAP: Final = 1


def broken(invariant: Invariant, reason: str) -> InvariantViolationError:
    """Return the error to raise."""
    return InvariantViolationError(invariant, reason)


class Invariants:
    """What is known of the whole run, and what must follow from it."""

    def __init__(self, hosts: Mapping[int, Host], site_of: Mapping[int, int]) -> None:
        self._hosts = hosts
        self._site_of = site_of
        #: The committed log: `history[i]` is the entry at index i.
        self.history: list[Entry] = [Entry(), Entry(1, BOOTSTRAP)]
        self._commit_terms: list[int] = [0, 1]
        self._leaders: dict[int, int] = {}
        self._votes: dict[tuple[int, int], int] = {}
        self._names: dict[tuple[int, int], tuple[int | None, Entry]] = {}
        self._confs: dict[int, ConfState] = {}
        self._snapshots: dict[int, bytes] = {}
        self._answers: dict[tuple[int, int], Answer] = {}
        self._replay = Store()

    @property
    def frontier(self) -> int:
        """Return the highest index that anybody ever took for committed."""
        return len(self.history) - 1

    # After every step

    def check(self, host: Host) -> None:
        """Check what may have changed on a host."""
        raft = host.node.raft
        log = raft.log
        if raft.term != host.seen_term or raft.vote != host.seen_vote:
            self._check_term(host, raft)
        changes = host.node.door.changes
        if changes:
            self._check_log(host, raft)
            changes.clear()
        committed, last = log.committed, log.last_index()
        tail = host.node.door.tail
        if tail[0] != last or tail[1] != log.term(last):
            raise broken(
                Invariant.LOG_MATCHING,
                f"host {host.id} put {tail} at the end of its log and finds ({last}, "
                f"{log.term(last)})",
            )
        if not log.applied <= log.applying <= committed <= last:
            raise broken(
                Invariant.ORDERED,
                f"host {host.id} has applied {log.applied}, handed out {log.applying}, committed "
                f"{committed} of {last}",
            )
        if committed != host.seen_commit:
            self._check_commit(host, raft, committed)
        if raft.role is Role.LEADER and host.led_term != raft.term:
            host.led_term = raft.term
            self._check_election(host, raft)

    def started(self, host: Host) -> None:
        """Check that a host begins with what its disk holds."""
        raft, state = host.node.raft, host.disk.durable.hard_state
        # A crash may have kept entries of a term and lost the term itself.
        if raft.term < state.term or (raft.term == state.term and raft.vote != state.vote):
            raise broken(
                Invariant.MONOTONIC,
                f"host {host.id} voted for {state.vote} in {state.term}, and starts with "
                f"{raft.vote} in {raft.term}",
            )
        host.seen_term, host.seen_vote, host.led_term = raft.term, raft.vote, 0
        host.seen_commit = host.store.applied
        self.check(host)

    def _check_term(self, host: Host, raft: Raft) -> None:
        term, vote = host.seen_term, host.seen_vote
        if raft.term < term or (raft.term == term and vote and raft.vote != vote):
            raise broken(
                Invariant.MONOTONIC,
                f"host {host.id} goes from {vote} in {term} to {raft.vote} in {raft.term}",
            )
        host.seen_term, host.seen_vote = raft.term, raft.vote

    def _check_election(self, host: Host, raft: Raft) -> None:
        term = raft.term
        known = self._leaders.setdefault(term, host.id)
        if known != host.id:
            raise broken(Invariant.ELECTION_SAFETY, f"{known} and {host.id} lead in term {term}")
        index = self.frontier
        while self._commit_terms[index] >= term:
            index -= 1
        self._check_holds(host, raft, index)
        for other in self._hosts.values():
            if other.up and other is not host and other.node.raft.term < term:
                self._check_lease(other, host)

    def _check_lease(self, other: Host, elected: Host) -> None:
        raft = other.node.raft
        length = raft.config.election_tick - raft.config.lease_margin_tick
        if raft.role is Role.LEADER and raft.read_only.holds_lease(
            raft.tracker.voters, raft.id, raft.ticks, length
        ):
            raise broken(
                Invariant.ONE_LEASE, f"{elected.id} is elected while {other.id} holds a lease"
            )

    def _check_holds(self, host: Host, raft: Raft, index: int) -> None:
        """Check that a leader holds a committed entry; by log matching, all before it as well."""
        term = raft.log.term(index)
        gone = index < raft.log.first_index() - 1
        if not gone and term != self.history[index].term:
            raise broken(
                Invariant.LEADER_COMPLETENESS,
                f"host {host.id} leads in {raft.term} with {term} at {index}, where "
                f"{self.history[index].term} is committed",
            )

    # The log

    def _check_log(self, host: Host, raft: Raft) -> None:
        log = raft.log
        for last, entries in host.node.door.changes:
            start = entries[0].index
            if start <= last and raft.role is Role.LEADER:
                raise broken(
                    Invariant.LEADER_APPEND_ONLY, f"host {host.id} replaces {start} of {last}"
                )
            if start <= host.seen_commit:
                raise broken(
                    Invariant.COMMITTED_IMMUTABLE,
                    f"host {host.id} replaces {start}, {host.seen_commit} is committed",
                )
            self._check_names(host, entries, log.term(start - 1))
            if any(entry.type for entry in entries):
                self._check_changes(host, raft)

    def _check_names(self, host: Host, entries: Sequence[Entry], before: int | None) -> None:
        names = self._names
        for entry in entries:
            name = (entry.index, entry.term)
            known = names.get(name)
            if known is None:
                names[name] = (before, entry)
            elif (known[1] is not entry and not _is_same(known[1], entry)) or (
                before is not None and known[0] is not None and known[0] != before
            ):
                raise broken(
                    Invariant.LOG_MATCHING,
                    f"host {host.id} has {entry} after term {before}, elsewhere it is {known[1]} "
                    f"after term {known[0]}",
                )
            before = entry.term

    def _check_changes(self, host: Host, raft: Raft) -> None:
        log = raft.log
        above = log.entries_from(max(self.frontier + 1, log.first_index()))
        pending = [entry.index for entry in above if entry.type in CONF_CHANGE_TYPES]
        if len(pending) > 1:
            raise broken(Invariant.ONE_CHANGE, f"host {host.id} has changes at {pending}")

    # Commits

    def _check_commit(self, host: Host, raft: Raft, committed: int) -> None:
        log, history = raft.log, self.history
        if committed < host.seen_commit:
            raise broken(Invariant.MONOTONIC, f"host {host.id} goes back from {host.seen_commit}")
        first = log.first_index()
        low = max(host.seen_commit + 1, first)
        host.seen_commit = committed
        if first > low:
            self._check_committed(host, first - 1, log.term(first - 1))
        known = min(committed, self.frontier)
        for index in range(low, known + 1):
            self._check_committed(host, index, log.term(index))
        if committed > known:
            if low > known + 1:
                raise broken(
                    Invariant.COMMITTED_IMMUTABLE,
                    f"host {host.id} starts at {low}, nobody has committed {known + 1}",
                )
            new = log.slice(known + 1, committed + 1)
            history.extend(new)
            self._commit_terms.extend([raft.term] * len(new))
            self._check_new(host, raft, committed)

    def _check_committed(self, host: Host, index: int, term: int | None) -> None:
        if index > self.frontier or self.history[index].term != term:
            raise broken(
                Invariant.COMMITTED_IMMUTABLE,
                f"host {host.id} takes ({term}, {index}) for committed, others "
                f"{self.history[index : index + 1]}",
            )

    def _check_new(self, host: Host, raft: Raft, index: int) -> None:
        """Check an entry that nobody took for committed before."""
        term = self.history[index].term
        conf = raft.tracker.conf
        safe = {one: self._hosts[one].disk.holds(index, term) for one in conf.all_voters}
        if raft.tracker.conf.voters and not _majorities(conf, safe):
            raise broken(
                Invariant.DURABLE_QUORUM,
                f"host {host.id} takes ({term}, {index}) for committed, on disk: {safe}, {conf}",
            )
        if not _sites_enough(conf, safe, self._site_of):
            raise broken(
                Invariant.DURABLE_QUORUM,
                f"host {host.id} takes ({term}, {index}) for committed at one site: {safe}, {conf}",
            )
        for other in self._hosts.values():
            if other.up and other.led_term > raft.term and other.node.raft.role is Role.LEADER:
                self._check_holds(other, other.node.raft, index)

    # What leaves a host

    def check_reply(self, host: Host, message: Message) -> None:
        """Check that what a message promises is on disk."""
        state = host.disk.durable.hard_state
        if message.type is MessageType.VOTE_RESP:
            if state.term <= message.term and (state.term, state.vote) != (
                message.term,
                message.to,
            ):
                raise broken(
                    Invariant.SYNCED_BEFORE_REPLY,
                    f"host {host.id} votes for {message.to} in {message.term}, on disk: {state}",
                )
            voter = (message.term, host.id)
            known = self._votes.setdefault(voter, message.to)
            if known != message.to:
                raise broken(
                    Invariant.MONOTONIC,
                    f"host {host.id} votes for {known} and {message.to} in {message.term}",
                )
        elif message.type is MessageType.APP_RESP and message.index:
            self._check_acknowledgement(host, message)

    def _check_acknowledgement(self, host: Host, message: Message) -> None:
        durable = host.disk.durable
        # What was acknowledged may have been replaced by a leader of a later term since.
        if durable.hard_state.term > message.term:
            return
        kept = durable.last_index() >= message.index
        leader = self._hosts[message.to]
        if kept and leader.up and leader.led_term == message.term == leader.node.raft.term:
            term = leader.node.raft.log.term(message.index)
            kept = term is None or host.disk.holds(message.index, term)
        if not kept or durable.hard_state.term < message.term:
            raise broken(
                Invariant.SYNCED_BEFORE_REPLY,
                f"host {host.id} acknowledges {message.index} in {message.term}, on disk: "
                f"{durable.last_index()}, {durable.hard_state}",
            )

    # The application

    def check_applied(self, host: Host, entry: Entry) -> None:
        """Check an entry that is about to be applied."""
        index = entry.index
        if index != host.store.applied + 1:
            raise broken(
                Invariant.STATE_MACHINE_SAFETY,
                f"host {host.id} applies {index} after {host.store.applied}",
            )
        if index > host.seen_commit:
            raise broken(
                Invariant.ORDERED,
                f"host {host.id} applies {index}, {host.seen_commit} is committed",
            )
        known = self.history[index]
        if known is not entry and not _is_same(known, entry):
            raise broken(
                Invariant.STATE_MACHINE_SAFETY, f"host {host.id} applies {entry}, others {known}"
            )

    def check_conf(self, host: Host, index: int, conf: ConfState) -> None:
        """Check a configuration that came into force."""
        known = self._confs.setdefault(index, conf)
        if known != conf:
            raise broken(
                Invariant.STATE_MACHINE_SAFETY,
                f"host {host.id} has {conf} at {index}, others {known}",
            )

    def check_answer(self, host: Host, client: int, answer: Answer) -> None:
        """Check the answer to a command against those given before."""
        known = self._answers.setdefault((client, answer.serial), answer)
        if known != answer:
            raise broken(
                Invariant.SESSIONS, f"host {host.id} answers {answer}, before it was {known}"
            )

    def check_snapshot(self, host: Host, snapshot: Snapshot) -> None:
        """Check a snapshot that was made, or put into a store."""
        index = snapshot.index
        expected = self._snapshots.get(index)
        if expected is None:
            expected = self._snapshots[index] = self._replayed(index)
        if expected != snapshot.data and not host.is_witness:
            raise broken(Invariant.SNAPSHOT_IS_REPLAY, f"not so on host {host.id} at {index}")
        self.check_conf(host, -index, snapshot.conf_state)
        compacted = host.disk.visible.first_index() - 1
        latest = host.disk.visible.latest_snapshot.index
        if not compacted <= latest <= host.store.applied <= host.seen_commit:
            raise broken(
                Invariant.ORDERED,
                f"host {host.id} compacted {compacted}, has a snapshot at {latest}, applied "
                f"{host.store.applied}, committed {host.seen_commit}",
            )

    def _replayed(self, index: int) -> bytes:
        if self._replay.applied > index:
            self._replay = Store()
        store = self._replay
        while store.applied < index:
            store.apply(self.history[store.applied + 1])
        return store.encode()


def _is_same(one: Entry, other: Entry) -> bool:
    """Compare two entries of one name; a witness's has no data."""
    return one == other or (
        EntryType.WITNESSED in (one.type, other.type)
        and not {one.type, other.type} & CONF_CHANGE_TYPES
    )


def _sites_enough(conf: ConfState, safe: Mapping[int, bool], site_of: Mapping[int, int]) -> bool:
    """Say whether two sites have it, in each half of a group that stands in two or more."""
    for half in (conf.voters, conf.voters_outgoing):
        sites = {site_of.get(voter) for voter in half}
        holding = {site_of.get(voter) for voter in half if safe[voter]}
        if len(sites) > 1 >= len(holding):
            return False
    return True


def _majorities(conf: ConfState, safe: Mapping[int, bool]) -> bool:
    """Count by hand: the core's own way of counting is what is being tested."""
    return all(
        sum(safe[voter] for voter in half) * 2 > len(half)
        for half in (conf.voters, conf.voters_outgoing)
        if half
    )
