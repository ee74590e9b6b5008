"""Disks that are full, cannot be written to, or fail."""

import errno
from random import Random

import pytest

from raft_core import ConfState, Entry, HardState, Snapshot
from raft_storage import (
    FileStorage,
    LockedError,
    MemoryStorage,
    NoSpaceError,
    ReadOnlyError,
    Settings,
    WriteFailedError,
)
from raft_storage.testing import Contents, SimulatedDisk, random_write

TINY = Settings(segment_size=400)


def failing(operation, number=errno.EIO):
    def before(call):
        if call.operation == operation:
            raise OSError(number, "the test wants it so")

    return before


def open_one():
    disk = SimulatedDisk()
    store = FileStorage.create(disk.folder(), TINY)
    store.save(entries=[Entry(1, 1, b"one")], hard_state=HardState(1, 1, 0))
    return disk, store


@pytest.mark.parametrize("seed", range(5))
def test_a_full_disk_refuses_and_changes_nothing_at_any_byte(seed):
    chance = Random(seed)  # noqa: S311 - repeatable
    disk = SimulatedDisk()
    store, model = FileStorage.create(disk.folder(), TINY), MemoryStorage()
    refused = 0
    for _ in range(60):
        write = random_write(chance, model)
        used = sum(map(len, disk.files().values()))
        disk.faults.capacity = used + chance.randrange(300)
        before = Contents.of(store)
        try:
            write(store)
        except NoSpaceError:
            refused += 1
            assert Contents.of(store) == before
            disk.faults.capacity = None
            write(store)
        write(model)
        assert Contents.of(store) == Contents.of(model)
        store.verify()
    assert refused > 10
    disk.faults.capacity = None
    store.close()
    assert Contents.of(FileStorage.open(disk.folder(), TINY)) == Contents.of(model)


def test_a_full_disk_leaves_no_files_behind():
    disk, store = open_one()
    names = set(disk.files())
    disk.faults.capacity = sum(map(len, disk.files().values())) + 10
    with pytest.raises(NoSpaceError):
        store.save(Snapshot(9, 2, ConfState((1,)), bytes(1000)))
    assert set(disk.files()) == names


def test_a_full_disk_refuses_a_new_store():
    disk = SimulatedDisk()
    disk.faults.capacity = 100
    with pytest.raises(NoSpaceError):
        FileStorage.create(disk.folder())
    disk.faults.capacity = None
    FileStorage.create(disk.folder())


@pytest.mark.parametrize("operation", ["sync", "write"])
def test_after_a_failure_of_the_disk_nothing_is_done_any_more(operation):
    disk, store = open_one()
    disk.faults.before = failing(operation)
    with pytest.raises(WriteFailedError):
        store.save(entries=[Entry(1, 2, b"two")])
    disk.faults.before = None
    for use in (
        lambda: store.save(entries=[Entry(1, 2, b"two")]),
        lambda: store.entries(1, 2),
        lambda: store.compact(1),
        store.verify,
        store.initial_state,
        store.snapshot,
    ):
        with pytest.raises(WriteFailedError):
            use()


def test_family_13_after_a_failed_sync_the_process_cannot_open_the_store_again():
    disk, store = open_one()
    disk.faults.before = failing("sync")
    with pytest.raises(WriteFailedError):
        store.save(entries=[Entry(1, 2, b"two")])
    disk.faults.before = None
    store.close()
    with pytest.raises(LockedError):
        FileStorage.open(disk.folder())
    disk.kill()
    assert FileStorage.open(disk.folder()).last_index() == 1


def test_family_13_a_new_process_reads_what_the_disk_holds_and_not_what_the_system_kept():
    disk, store = open_one()
    disk.faults.before = failing("sync")
    with pytest.raises(WriteFailedError):
        store.save(entries=[Entry(1, 2, b"two")])
    disk.faults.before = None
    assert b"two" in disk.files()["segment-000000000001"]
    disk.kill()
    assert FileStorage.open(disk.folder()).last_index() == 1


@pytest.mark.parametrize("operation", ["open", "rename", "sync_folder", "sync", "write", "remove"])
def test_any_failure_while_segments_and_snapshots_change_is_final_and_loses_nothing(operation):
    for skipped in range(6):
        disk, store = open_one()
        left = [skipped]

        def before(call, left=left):
            if call.operation == operation:
                left[0] -= 1
                if left[0] < 0:
                    raise OSError(errno.EIO, "the test wants it so")

        disk.faults.before = before
        index = 1
        try:
            for index in range(2, 30):
                store.save(entries=[Entry(1, index, bytes(90))], hard_state=HardState(1, 1, index))
                if index % 5 == 0:
                    store.create_snapshot(index, ConfState((1,)), b"state")
                    store.compact(index)
            pytest.fail("nothing failed")
        except WriteFailedError:
            disk.faults.before = None
            disk.crash()
        assert FileStorage.open(disk.folder(), TINY).last_index() in (index - 1, index)


def test_a_read_only_disk_is_refused_as_such():
    disk, store = open_one()
    store.close()
    disk.faults.read_only = True
    with pytest.raises(ReadOnlyError):
        FileStorage.open(disk.folder())
    with pytest.raises(ReadOnlyError):
        FileStorage.create(disk.folder())


def test_a_disk_that_becomes_read_only_ends_the_store():
    disk, store = open_one()
    disk.faults.read_only = True
    with pytest.raises(WriteFailedError):
        store.save(entries=[Entry(1, 2)])


def test_a_failure_while_opening_is_no_damage():
    disk, store = open_one()
    store.close()
    disk.faults.before = failing("sync")
    with pytest.raises(WriteFailedError):
        FileStorage.open(disk.folder())


def test_a_store_whose_last_write_fails_is_closed_all_the_same():
    disk, store = open_one()
    store.save(hard_state=HardState(1, 1, 1))
    disk.faults.before = failing("write")
    with pytest.raises(WriteFailedError):
        store.close()
    store.close()
