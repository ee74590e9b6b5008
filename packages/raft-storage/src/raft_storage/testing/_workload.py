"""Writes as a Raft node makes them, drawn by chance, and what a store holds after them."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import attrs

from raft_core import NO_LIMIT, ConfState, Entry, HardState, Snapshot, SnapshotUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from raft_storage._protocol import LogStore

    #: Something to do to a store, and to another one in the same state.
    Write: TypeAlias = Callable[[LogStore], object]


@attrs.frozen
class Contents:
    """Everything a store gives back, for comparing."""

    hard_state: HardState
    conf_state: ConfState
    first_index: int
    entries: tuple[Entry, ...]
    terms: tuple[int, ...]
    snapshot: Snapshot | None

    @classmethod
    def of(cls, store: LogStore) -> Contents:
        """Read a store from end to end."""
        hard_state, conf_state = store.initial_state()
        first, last = store.first_index(), store.last_index()
        try:
            snapshot = store.snapshot()
        except SnapshotUnavailableError:
            snapshot = None
        entries = store.entries(first, last + 1, NO_LIMIT)
        terms = tuple([store.term(index) for index in range(first - 1, last + 1)])
        return cls(hard_state, conf_state, first, entries, terms, snapshot)

    def survives_as(self, other: Contents) -> bool:
        """Say whether another is this after a crash: the commit index alone may have fallen."""
        commit = min(self.hard_state.commit, other.hard_state.commit)
        vote = HardState(self.hard_state.term, self.hard_state.vote, commit)
        return attrs.evolve(self, hard_state=vote) == other


def random_write(chance: Random, store: LogStore) -> Write:
    """Return a write that a store in this state must take, of every kind there is."""
    state, conf_state = store.initial_state()
    kind = chance.random()
    if kind < 0.1:  # noqa: PLR2004 - mostly entries
        snapshot_index = _snapshot_index(store)
        if snapshot_index >= store.first_index():
            index = chance.randint(store.first_index(), snapshot_index)
            return lambda other: other.compact(index)
        if state.commit > snapshot_index:
            index, data = chance.randint(snapshot_index + 1, state.commit), _data(chance)
            return lambda other: other.create_snapshot(index, conf_state, data)
    if kind < 0.13:  # noqa: PLR2004
        return _install(chance, store)
    if kind < 0.3:  # noqa: PLR2004
        return _hard_state_alone(chance, store)
    first = chance.randint(state.commit + 1, store.last_index() + 1)
    first = store.last_index() + 1 if chance.random() < 0.7 else first  # noqa: PLR2004
    term = max(1, state.term, store.term(first - 1)) + (chance.random() < 0.2)  # noqa: PLR2004
    entries = [Entry(term, first + more, _data(chance)) for more in range(chance.randint(1, 5))]
    commit = chance.randint(state.commit, first - 1)
    vote = state.vote if term == state.term else chance.randint(0, 3)
    return lambda other: other.save(entries=entries, hard_state=HardState(term, vote, commit))


def _snapshot_index(store: LogStore) -> int:
    try:
        return store.snapshot().index
    except SnapshotUnavailableError:
        return 0


def _data(chance: Random) -> bytes:
    return chance.randbytes(chance.choice((0, 1, 7, 8, 40, 200)))


def _hard_state_alone(chance: Random, store: LogStore) -> Write:
    state, _ = store.initial_state()
    commit = chance.randint(state.commit, store.last_index())
    after = HardState(state.term, state.vote, commit)
    if chance.random() < 0.5:  # noqa: PLR2004
        after = HardState(state.term + 1, chance.randint(0, 3), commit)
    return lambda other: other.save(hard_state=after)


def _install(chance: Random, store: LogStore) -> Write:
    state, _ = store.initial_state()
    index = store.last_index() + chance.randint(1, 9)
    term = max(1, state.term) + 1
    snapshot = Snapshot(index, term, ConfState((1, 2, chance.randint(3, 9))), _data(chance))
    entries = [Entry(term, index + 1, _data(chance))] * chance.randint(0, 1)
    return lambda other: other.save(snapshot, entries, HardState(term, 0, index))
