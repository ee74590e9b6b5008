"""What every store does: in memory, on a simulated disk, in real files."""

from uuid import UUID

import pytest

from raft_core import (
    CompactedError,
    ConfState,
    Entry,
    EntryType,
    HardState,
    Snapshot,
    SnapshotUnavailableError,
    UnavailableError,
)
from raft_storage import (
    ClosedError,
    FileStorage,
    MemoryStorage,
    RefusedWriteError,
    Settings,
)
from raft_storage.testing import SimulatedDisk

TINY = Settings(segment_size=300)
CONF = ConfState((1, 2, 3), (4,))


def entries(low, high, term=1):
    return [Entry(term, index, b"%d" % index * (index % 4)) for index in range(low, high + 1)]


@pytest.fixture(params=["memory", "simulated", "files"])
def store(request, tmp_path):
    if request.param == "memory":
        made = MemoryStorage()
    elif request.param == "simulated":
        made = FileStorage.create(SimulatedDisk().folder(), TINY)
    else:
        made = FileStorage.create(tmp_path / "store", TINY)
    with made:
        yield made


def test_is_empty_at_first(store):
    assert store.initial_state() == (HardState(), ConfState())
    assert (store.first_index(), store.last_index(), store.term(0)) == (1, 0, 0)
    assert store.entries(1, 1) == ()


def test_has_no_snapshot_at_first(store):
    with pytest.raises(SnapshotUnavailableError):
        store.snapshot()


def test_gives_back_what_was_saved(store):
    store.save(entries=entries(1, 20), hard_state=HardState(1, 2, 5))
    assert store.entries(1, 21) == tuple(entries(1, 20))
    assert store.initial_state()[0] == HardState(1, 2, 5)


def test_gives_back_every_type_of_entry(store):
    saved = [Entry(1, index, b"x", kind) for index, kind in enumerate(EntryType, 1)]
    store.save(entries=saved)
    assert list(store.entries(1, len(saved) + 1)) == saved


def test_gives_back_many_batches_from_any_place(store):
    for low in range(1, 60, 3):
        store.save(entries=entries(low, low + 2))
    for low in range(1, 60, 7):
        assert store.entries(low, low + 1) == tuple(entries(low, low))
        assert store.entries(low, 61) == tuple(entries(low, 60))


def test_limits_what_it_returns_but_returns_one(store):
    store.save(entries=[Entry(1, index, bytes(100)) for index in range(1, 11)])
    assert len(store.entries(1, 11, 0)) == 1
    assert len(store.entries(1, 11, 124 * 3)) == 3
    assert len(store.entries(1, 11, 124 * 4 - 1)) == 3


def test_replaces_a_conflicting_tail(store):
    store.save(entries=entries(1, 30))
    store.save(entries=entries(12, 14, term=2))
    assert store.last_index() == 14
    assert store.entries(1, 15) == tuple(entries(1, 11) + entries(12, 14, term=2))
    assert [store.term(index) for index in (11, 12, 14)] == [1, 2, 2]


def test_replaces_tails_again_and_again(store):
    store.save(entries=entries(1, 40))
    for term in range(2, 20):
        store.save(entries=entries(40 - term * 2, 45 - term * 2, term=term))
    kept = entries(1, 1) + entries(2, 7, term=19)
    assert store.entries(1, store.last_index() + 1) == tuple(kept)


def test_knows_terms_over_many_leaders(store):
    for term in range(1, 30):
        store.save(entries=entries(term * 2 - 1, term * 2, term=term))
    assert [store.term(index) for index in range(1, 59)] == [
        (index + 1) // 2 for index in range(1, 59)
    ]


def test_refuses_to_read_beyond_its_ends(store):
    store.save(entries=entries(1, 5), hard_state=HardState(1, 1, 5))
    store.create_snapshot(3, CONF, b"")
    store.compact(3)
    with pytest.raises(CompactedError):
        store.term(2)
    with pytest.raises(CompactedError):
        store.entries(3, 5)
    with pytest.raises(UnavailableError):
        store.term(6)
    with pytest.raises(UnavailableError):
        store.entries(4, 7)
    assert store.term(3) == 1


def test_keeps_a_snapshot_of_its_own(store):
    store.save(entries=entries(1, 9), hard_state=HardState(1, 1, 9))
    made = store.create_snapshot(7, CONF, b"state")
    assert made == store.snapshot() == Snapshot(7, 1, CONF, b"state")
    assert store.initial_state()[1] == CONF
    assert store.first_index() == 1


def test_a_snapshot_raises_the_commit_index(store):
    store.save(entries=entries(1, 9), hard_state=HardState(1, 1, 2))
    store.create_snapshot(7, CONF, b"")
    assert store.initial_state()[0] == HardState(1, 1, 7)


def test_compacts_up_to_a_snapshot(store):
    store.save(entries=entries(1, 40), hard_state=HardState(1, 1, 40))
    store.create_snapshot(30, CONF, b"state")
    store.compact(20)
    store.compact(30)
    assert (store.first_index(), store.last_index()) == (31, 40)
    assert store.entries(31, 41) == tuple(entries(31, 40))


def test_compacts_everything(store):
    store.save(entries=entries(1, 9), hard_state=HardState(1, 1, 9))
    store.create_snapshot(9, CONF, b"")
    store.compact(9)
    assert (store.first_index(), store.last_index(), store.term(9)) == (10, 9, 1)
    store.save(entries=entries(10, 12, term=2))
    assert store.entries(10, 13) == tuple(entries(10, 12, term=2))


def test_takes_a_snapshot_of_the_leader_in_place_of_the_log(store):
    store.save(entries=entries(1, 9), hard_state=HardState(1, 1, 4))
    store.save(Snapshot(6, 3, CONF, b"theirs"), entries(7, 8, term=4), HardState(4, 0, 7))
    assert (store.first_index(), store.last_index()) == (7, 8)
    assert store.entries(7, 9) == tuple(entries(7, 8, term=4))
    assert store.snapshot() == Snapshot(6, 3, CONF, b"theirs")
    assert store.initial_state() == (HardState(4, 0, 7), CONF)
    assert store.term(6) == 3


def test_takes_a_snapshot_below_what_is_committed_with_the_entries_between(store):
    store.save(entries=entries(1, 9), hard_state=HardState(1, 0, 8))
    with pytest.raises(RefusedWriteError):
        store.save(Snapshot(5, 1, CONF, b"asked for"), entries(6, 7))
    assert store.first_index() == 1
    store.save(Snapshot(5, 1, CONF, b"asked for"), entries(6, 9))
    assert store.snapshot().data == b"asked for"
    assert (store.first_index(), store.entries(6, 10)) == (6, tuple(entries(6, 9)))
    assert store.initial_state()[0].commit == 8


def test_begins_from_a_snapshot(store):
    store.save(Snapshot(1, 1, CONF))
    assert store.initial_state() == (HardState(commit=1), CONF)
    assert (store.first_index(), store.last_index(), store.term(1)) == (2, 1, 1)


@pytest.mark.parametrize(
    "change",
    [
        {"entries": entries(7, 7)},
        {"entries": entries(2, 2)},
        {"entries": [Entry(1, 6), Entry(1, 8)]},
        {"entries": [Entry(2, 6), Entry(1, 7)]},
        {"entries": [Entry(0, 6)]},
        {"entries": [Entry(2**63, 6)]},
        {"hard_state": HardState(0, 1, 2)},
        {"hard_state": HardState(1, 3, 2)},
        {"hard_state": HardState(1, 0, 2)},
        {"hard_state": HardState(1, 1, 1)},
        {"hard_state": HardState(1, 1, 6)},
        {"hard_state": HardState(2, -1, 2)},
        {"hard_state": HardState(2**63, 1, 2)},
        {"snapshot": Snapshot(1, 1, CONF)},
        {"snapshot": Snapshot(9, 0, CONF)},
        {"snapshot": Snapshot(2**63, 1, CONF)},
        {"snapshot": Snapshot(9, 2, CONF), "entries": entries(6, 6)},
        {"snapshot": Snapshot(9, 2, CONF), "entries": entries(10, 10)},
        {"entries": entries(6, 6), "hard_state": HardState(0)},
    ],
)
def test_refuses_what_breaks_a_promise_and_changes_nothing(store, change):
    store.save(entries=entries(1, 5), hard_state=HardState(1, 1, 2))
    with pytest.raises(RefusedWriteError):
        store.save(**change)
    assert store.entries(1, store.last_index() + 1) == tuple(entries(1, 5))
    assert store.initial_state() == (HardState(1, 1, 2), ConfState())


def test_refuses_snapshots_that_cannot_be(store):
    store.save(entries=entries(1, 5), hard_state=HardState(1, 1, 5))
    with pytest.raises(RefusedWriteError):
        store.create_snapshot(6, CONF, b"")
    store.create_snapshot(3, CONF, b"")
    with pytest.raises(RefusedWriteError):
        store.create_snapshot(3, CONF, b"")


def test_refuses_compaction_without_a_snapshot(store):
    store.save(entries=entries(1, 5), hard_state=HardState(1, 1, 5))
    with pytest.raises(RefusedWriteError):
        store.compact(1)
    store.create_snapshot(3, CONF, b"")
    with pytest.raises(RefusedWriteError):
        store.compact(4)
    store.compact(3)
    with pytest.raises(RefusedWriteError):
        store.compact(3)


def test_verifies_what_is_sound(store):
    store.save(entries=entries(1, 50), hard_state=HardState(1, 1, 9))
    store.create_snapshot(3, CONF, b"")
    store.verify()


def test_refuses_everything_when_closed(store):
    store.close()
    store.close()
    for use in (
        store.initial_state,
        store.snapshot,
        store.verify,
        lambda: store.term(0),
        lambda: store.entries(1, 1),
        lambda: store.save(entries=entries(1, 1)),
        lambda: store.create_snapshot(1, CONF, b""),
        lambda: store.compact(1),
    ):
        with pytest.raises(ClosedError):
            use()


def test_has_an_identity(store):
    assert isinstance(store.store_id, UUID)
    assert MemoryStorage().store_id != store.store_id
