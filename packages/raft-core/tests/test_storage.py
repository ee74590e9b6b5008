import pytest

from raft_core import (
    CompactedError,
    ConfState,
    Entry,
    HardState,
    MemoryStorage,
    Snapshot,
    StorageError,
    UnavailableError,
)

CONF = ConfState(voters=(1, 2, 3))


def make(count: int = 5) -> MemoryStorage:
    storage = MemoryStorage()
    storage.append([Entry(1, index) for index in range(1, count + 1)])
    return storage


def test_an_empty_storage_says_so() -> None:
    storage = MemoryStorage()
    assert storage.initial_state() == (HardState(), ConfState())
    assert (storage.first_index(), storage.last_index(), storage.term(0)) == (1, 0, 0)


def test_entries_are_read_within_their_bounds() -> None:
    storage = make()
    assert [entry.index for entry in storage.entries(2, 5)] == [2, 3, 4]
    assert len(storage.entries(1, 6, 1)) == 1
    with pytest.raises(UnavailableError):
        storage.entries(1, 7)
    with pytest.raises(UnavailableError):
        storage.term(6)


def test_appending_replaces_from_its_first_index() -> None:
    storage = make()
    storage.append([Entry(2, 3)])
    assert storage.last_index() == 3
    assert storage.term(3) == 2
    storage.append([])
    with pytest.raises(StorageError):
        storage.append([Entry(2, 5)])


def test_compaction_keeps_what_no_snapshot_covers() -> None:
    storage = make()
    with pytest.raises(StorageError):
        storage.compact(3)
    storage.create_snapshot(4, CONF, b"state")
    storage.compact(3)
    assert (storage.first_index(), storage.last_index(), storage.term(3)) == (4, 5, 1)
    for refused in (storage.term, storage.compact):
        with pytest.raises(CompactedError):
            refused(2)
    with pytest.raises(CompactedError):
        storage.entries(3, 5)


def test_snapshots_only_go_forward() -> None:
    storage = make()
    storage.create_snapshot(4, CONF, b"state")
    with pytest.raises(StorageError):
        storage.create_snapshot(4, CONF, b"state")
    with pytest.raises(UnavailableError):
        storage.create_snapshot(9, CONF, b"state")
    assert storage.snapshot() == Snapshot(4, 1, CONF, b"state")
    assert storage.initial_state()[1] == CONF


def test_a_leaders_snapshot_replaces_the_log() -> None:
    storage = make()
    storage.apply_snapshot(Snapshot(9, 3, CONF))
    assert (storage.first_index(), storage.last_index(), storage.term(9)) == (10, 9, 3)
    storage.append([Entry(3, 8), Entry(3, 9), Entry(3, 10)])  # what the snapshot holds is skipped
    assert (storage.first_index(), storage.last_index()) == (10, 10)


def test_entries_that_a_snapshot_holds_already_cut_nothing_off() -> None:
    storage = make(10)
    storage.create_snapshot(5, CONF, b"")
    storage.compact(5)

    storage.append([Entry(1, 3)])

    assert storage.first_index() == 6
    assert storage.last_index() == 10
