"""What it costs to open a large log."""

import tracemalloc

from raft_core import Entry, HardState
from raft_storage import FileStorage, Settings

SEGMENT = 2**20


def write_log(path, segments):
    with FileStorage.create(path, Settings(segment_size=SEGMENT)) as store:
        index = 0
        while len(list(path.glob("segment-*"))) <= segments:
            batch = [Entry(1 + index // 1000, index + more, bytes(2000)) for more in range(1, 65)]
            index += 64
            store.save(entries=batch, hard_state=HardState(1 + index // 1000, 0, 0))
        return index


def peak_of_opening(path):
    tracemalloc.start()
    store = FileStorage.open(path, Settings(segment_size=SEGMENT))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    with store:
        return store, peak


def test_memory_does_not_grow_with_the_log(tmp_path):
    write_log(tmp_path / "small", 2)
    last = write_log(tmp_path / "large", 16)
    _, small = peak_of_opening(tmp_path / "small")
    store, large = peak_of_opening(tmp_path / "large")
    assert store.last_index() == last
    assert store.recovery.bytes_read > 16 * SEGMENT
    assert large < small + 200_000
    assert large < 4 * SEGMENT


def test_a_read_opens_one_segment_and_reads_what_it_needs(tmp_path, monkeypatch):
    last = write_log(tmp_path / "store", 4)
    with FileStorage.open(tmp_path / "store") as store:
        read = []
        original = type(store._log.writer.file).read

        def counting(self, offset, size):
            data = original(self, offset, size)
            read.append(len(data))
            return data

        monkeypatch.setattr(type(store._log.writer.file), "read", counting)
        for index in (1, last // 3, last // 2, last):
            read.clear()
            assert store.entries(index, index + 1)[0].index == index
            assert sum(read) <= 2**16 + 8
