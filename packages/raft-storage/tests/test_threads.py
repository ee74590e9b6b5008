"""Readers in other threads see whole entries while one thread writes, rolls and compacts."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest

from raft_core import CompactedError, ConfState, Entry, HardState
from raft_storage import FileStorage, RefusedWriteError, Settings, SystemFolder


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


BEGUN, GO_ON = Event(), Event()


class SlowFolder(SystemFolder):
    """A folder whose syncs begin and wait."""

    def open(self, name: str, *, create: bool = False) -> Any:
        file = super().open(name, create=create)
        if name.startswith("segment") and not create:
            return SlowFile(file)
        return file


class SlowFile:
    def __init__(self, file):
        self._file = file

    def __getattr__(self, name):
        return getattr(self._file, name)

    def sync(self):
        BEGUN.set()
        assert GO_ON.wait(60)
        self._file.sync()


def test_a_second_writer_is_refused_while_one_writes(tmp_path):
    # Two at once once left what looked like lost batches.
    FileStorage.create(tmp_path / "store").close()
    GO_ON.set()
    store = FileStorage.open(SlowFolder(tmp_path / "store"))
    GO_ON.clear()
    BEGUN.clear()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(store.save, entries=[Entry(1, 1)], hard_state=HardState(1))
        assert BEGUN.wait(60)
        with pytest.raises(RefusedWriteError, match="one at a time"):
            store.save(entries=[Entry(1, 1)])
        GO_ON.set()
        first.result(60)
    store.save(entries=[Entry(1, 2)])
    store.close()
    with FileStorage.open(tmp_path / "store") as again:
        assert again.last_index() == 2
