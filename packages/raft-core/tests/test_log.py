import pytest
from hypothesis import given
from hypothesis import strategies as st

from raft_core import CompactedError, ConfState, Entry, MemoryStorage, Snapshot
from raft_core._entries import entries_size, limit_size
from raft_core._log import RaftLog


def entries(first: int, *terms: int, data: bytes = b"") -> tuple[Entry, ...]:
    return tuple(Entry(term, index, data) for index, term in enumerate(terms, first))


def make_log(stored: int = 5, unstable: int = 5, *, compacted: int = 0) -> RaftLog:
    """Return a log of term 1, the first part of it stored and the rest on its way."""
    storage = MemoryStorage()
    if compacted:
        storage.apply_snapshot(Snapshot(compacted, 1, ConfState(voters=(1,))))
    storage.append(entries(compacted + 1, *[1] * stored, data=b"x" * 76))
    log = RaftLog.open(storage)
    if unstable:
        log.append(entries(compacted + stored + 1, *[1] * unstable, data=b"x" * 76))
    return log


@pytest.mark.parametrize(("low", "high"), [(1, 11), (1, 6), (6, 11), (4, 8), (5, 7), (3, 3)])
def test_a_slice_may_cross_from_stored_to_unstable(low: int, high: int) -> None:
    assert [entry.index for entry in make_log().slice(low, high)] == list(range(low, high))


@given(st.integers(1, 10), st.integers(1, 1200))
def test_a_slice_keeps_within_its_size_but_for_the_first(low: int, size: int) -> None:
    sliced = make_log().slice(low, 11, size)
    assert [entry.index for entry in sliced] == list(range(low, low + len(sliced)))
    assert len(sliced) == min(11 - low, max(1, size // 100))


def test_what_is_compacted_is_not_there() -> None:
    log = make_log(compacted=3)
    assert (log.first_index(), log.last_index()) == (4, 13)
    assert (log.term(2), log.term(3), log.term(13), log.term(14)) == (None, 1, 1, None)
    with pytest.raises(CompactedError):
        log.slice(3, 5)


def test_a_snapshot_stands_for_everything_before() -> None:
    log = make_log()
    log.restore(Snapshot(20, 3))
    assert (log.first_index(), log.last_index(), log.committed) == (21, 20, 20)
    assert (log.term(20), log.term(19), log.last_term()) == (3, None, 3)
    assert not log.has_next_committed(allow_unstable=True)  # first the snapshot itself


def test_appending_replaces_from_its_first_index() -> None:
    for first, kept in ((8, 7), (6, 5), (3, 2)):
        log = make_log()
        log.append(entries(first, 2, 2))
        assert log.last_index() == first + 1
        assert [log.term(index) for index in range(kept, first + 2)] == [1, 2, 2]


def test_what_is_being_written_is_not_handed_out_twice() -> None:
    log = make_log()
    unstable = log.unstable
    assert len(unstable.next_entries()) == 5
    unstable.accept_in_progress()
    assert not unstable.has_next_entries()
    log.append(entries(9, 2))  # replaces one that is being written
    assert [entry.index for entry in unstable.next_entries()] == [9]


def test_what_is_on_disk_leaves_the_memory() -> None:
    log = make_log()
    log.unstable.accept_in_progress()
    log.unstable.stable_to(8, 1)
    assert log.unstable.offset == 9
    log.unstable.stable_to(8, 1)  # again: nothing
    log.unstable.stable_to(9, 2)  # of another term: nothing
    assert log.unstable.offset == 9


def test_a_snapshot_on_disk_leaves_the_memory_if_it_is_the_one() -> None:
    log = make_log()
    log.restore(Snapshot(20, 3))
    log.unstable.stable_snapshot_to(19)
    assert log.unstable.snapshot is not None
    log.unstable.stable_snapshot_to(20)
    assert log.unstable.snapshot is None


@given(st.lists(st.integers(0, 50), max_size=10), st.integers(1, 400))
def test_limit_size_is_the_longest_prefix(sizes: list[int], limit: int) -> None:
    given_entries = tuple(Entry(1, place, b"x" * size) for place, size in enumerate(sizes, 1))
    limited = limit_size(given_entries, limit)
    assert limited == given_entries[: len(limited)]
    assert len(limited) >= min(1, len(sizes))
    assert len(limited) <= 1 or entries_size(limited) <= limit
    if len(limited) < len(sizes):
        assert entries_size(given_entries[: len(limited) + 1]) > limit


@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=12).map(sorted),
    st.integers(0, 12),
    st.integers(0, 6),
)
def test_no_match_is_skipped_in_the_search_for_a_conflict(
    terms: list[int], index: int, term: int
) -> None:
    storage = MemoryStorage()
    storage.append(entries(1, *terms))
    log = RaftLog.open(storage)
    index = min(index, len(terms))
    found, found_term = log.find_conflict_by_term(index, term)
    assert found <= index
    assert found == 0 or (found_term == terms[found - 1] <= term)
    assert all(terms[place - 1] > term for place in range(found + 1, index + 1))
