import zlib
from types import ModuleType

import pytest

import toka.store.core.backend
from toka.store.core import Head, StoreLocked
from toka.store.core.backend import HeadFile, WriterLock, read_head


def test_all_lists_exactly_the_public_names():
    public = {
        name
        for name, value in vars(toka.store.core.backend).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert set(toka.store.core.backend.__all__) == public


def test_one_process_takes_a_lock_once_whatever_the_file_system_thinks(tmp_path, monkeypatch):
    lock = WriterLock(tmp_path / "lock", "there:here", 1)
    monkeypatch.setattr("fcntl.flock", lambda *_: None)  # as where locks belong to processes
    with pytest.raises(StoreLocked) as caught:
        WriterLock(tmp_path / "lock", "there:here", 2)
    assert caught.value.pid is not None
    lock.release()
    WriterLock(tmp_path / "lock", "there:here", 3).release()


def test_the_head_file_survives_a_torn_record(tmp_path):
    path = tmp_path / "head"
    file = HeadFile(path)
    for position in range(1, 4):
        file.write(head_at(position))
    file.close()
    recorded = read_head(path)
    assert recorded is not None
    assert (recorded.commits, recorded.head) == (3, head_at(3))
    data = bytearray(path.read_bytes())
    data[64 + 20] ^= 1
    path.write_bytes(data)
    recorded = read_head(path)
    assert recorded is not None
    assert recorded.head == head_at(2)
    path.write_bytes(data[:50])
    assert read_head(path) is None


def head_at(position: int) -> Head:

    return Head(position, bytes([position]) * 32)


def test_a_head_file_that_is_opened_again_counts_on(tmp_path):
    for _ in range(2):
        file = HeadFile(tmp_path / "head")
        file.write(head_at(1))
        file.close()
    recorded = read_head(tmp_path / "head")
    assert recorded is not None
    assert recorded.commits == 2


def older_slot(head: Head) -> bytes:
    record = b"TOKAHEAD" + head.position.to_bytes(8, "big") + head.digest
    return record + zlib.crc32(record).to_bytes(4, "big") + bytes(12)


def test_a_head_file_that_does_not_count_is_read(tmp_path):
    (tmp_path / "head").write_bytes(older_slot(head_at(7)) + older_slot(head_at(6)))
    recorded = read_head(tmp_path / "head")
    assert recorded is not None
    assert (recorded.commits, recorded.head) == (0, head_at(7))
    file = HeadFile(tmp_path / "head")
    file.rewrite(head_at(8))
    file.close()
    recorded = read_head(tmp_path / "head")
    assert recorded is not None
    assert recorded.head == head_at(8)


def test_there_is_no_head_where_there_is_no_file(tmp_path):
    assert read_head(tmp_path / "head") is None
