"""The newest entries are read from memory, and memory does not grow with the log."""

from hypothesis import given
from hypothesis import strategies as st

from raft_core import Entry, Snapshot
from raft_storage import FileStorage
from raft_storage._recent import Recent
from raft_storage.testing import SimulatedDisk


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 5)), max_size=30))
def test_it_holds_what_a_log_ends_with(batches):
    recent, log = Recent(limit=1500), list[Entry]()
    for term, (back, count) in enumerate(batches, 1):
        del log[max(0, len(log) - back) :]
        first = len(log) + 1
        batch = [Entry(term, index, bytes(index)) for index in range(first, first + count)]
        log += batch
        recent.add(batch)
        held = recent.entries
        assert held == log[len(log) - len(held) :]
        assert len(held) >= count
        low = len(log) - len(held) + 1
        assert recent.find(low, len(log) + 1) == held
        assert not recent.find(low - 1, len(log) + 1)
        assert held == batch or sum(len(one.data) + 100 for one in held) <= 1500


def test_a_snapshot_from_a_leader_leaves_nothing_of_the_log_before():
    store = FileStorage.create(SimulatedDisk().folder())
    store.save(entries=[Entry(1, 1, b"old"), Entry(1, 2, b"old")])
    store.save(Snapshot(index=2, term=2), [Entry(2, 3, b"new")])
    assert [entry.data for entry in store.entries(3, 4)] == [b"new"]
