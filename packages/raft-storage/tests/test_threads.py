"""Readers in other threads see whole entries while one thread writes, rolls and compacts."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event

from raft_core import CompactedError, ConfState, Entry, HardState
from raft_storage import FileStorage, Settings


def test_readers_run_beside_the_writer(tmp_path):
    store = FileStorage.create(tmp_path / "store", Settings(segment_size=2000))
    done = Event()

    def read():
        reads = 0
        while not done.is_set():
            first, last = store.first_index(), store.last_index()
            try:
                found = store.entries(first, last + 1)
                terms = [store.term(entry.index) for entry in found[-3:]]
            except CompactedError:
                continue
            assert [entry.index for entry in found] == list(range(first, first + len(found)))
            assert all(entry.data == b"%d" % entry.index * 20 for entry in found)
            assert terms == [entry.term for entry in found[-3:]]
            reads += 1
        return reads

    def write():
        try:
            for index in range(1, 250):
                entry = Entry(1 + index // 9, index, b"%d" % index * 20)
                store.save(entries=[entry], hard_state=HardState(1 + index // 9, 1, index))
                if index % 30 == 0:
                    store.create_snapshot(index, ConfState((1,)), b"state")
                    store.compact(index - 5)
        finally:
            done.set()

    with ThreadPoolExecutor(3) as pool, store:
        readers = [pool.submit(read) for _ in range(2)]
        pool.submit(write).result(timeout=60)
        assert all(reader.result(timeout=60) for reader in readers)
