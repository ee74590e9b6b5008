"""Snapshots written and read in pieces, aside from the log, and crashes at each step of it."""

import errno
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest

from raft_core import ConfState, Entry, HardState, Snapshot, SnapshotUnavailableError
from raft_storage import (
    ClosedError,
    DamagedError,
    FileStorage,
    NoSpaceError,
    RefusedWriteError,
    StreamedStorage,
    WriteFailedError,
)
from raft_storage.testing import PowerCut, SimulatedDisk

CONF = ConfState((1, 2, 3))
PIECES = (b"one", b"", b"two" * 300, b"three")
WHOLE = b"".join(PIECES)


def filled(disk, last=9):
    """Return a store with entries, all of them committed."""
    store = FileStorage.create(disk.folder())
    entries = [Entry(1, index, b"entry") for index in range(1, last + 1)]
    store.save(entries=entries, hard_state=HardState(1, 1, last))
    return store


def write(store, index, pieces=PIECES, term=1):
    """Return a snapshot written and not kept."""
    writer = store.write_snapshot(index, term, CONF)
    for piece in pieces:
        writer.write(piece)
    return writer


def test_what_is_written_in_pieces_is_read_whole_and_in_pieces():
    disk = SimulatedDisk()
    store = filled(disk)
    store.keep_snapshot(write(store, 7))
    assert store.snapshot() == Snapshot(7, 1, CONF, WHOLE)
    for size in (1, 2, 100, 2**20):
        with store.open_snapshot() as reader:
            pieces = list(reader.pieces(size))
        assert (b"".join(pieces), {len(piece) <= size for piece in pieces}) == (WHOLE, {True})
        assert (reader.index, reader.term, reader.conf_state, reader.size) == (
            7,
            1,
            CONF,
            len(WHOLE),
        )
    disk.kill()
    assert FileStorage.open(disk.folder()).snapshot() == Snapshot(7, 1, CONF, WHOLE)


def test_pieces_and_one_piece_make_the_same_file_on_any_node():
    disks = SimulatedDisk(), SimulatedDisk()
    one, other = filled(disks[0]), filled(disks[1])
    one.keep_snapshot(write(one, 7))
    other.create_snapshot(7, CONF, WHOLE)
    (name,) = [name for name in disks[0].files() if name.startswith("snapshot-")]
    assert disks[0].files()[name] == disks[1].files()[name]


def test_another_nodes_snapshot_goes_with_the_save_that_it_leads_to():
    sender = filled(SimulatedDisk())
    sender.keep_snapshot(write(sender, 7))
    disk = SimulatedDisk()
    store = FileStorage.create(disk.folder())
    with sender.open_snapshot() as reader:
        writer = store.write_snapshot(reader.index, reader.term, reader.conf_state)
        for piece in reader.pieces(10):
            writer.write(piece)
        writer.finish()
        assert writer.checksum == reader.checksum
    with pytest.raises(SnapshotUnavailableError):
        store.snapshot_head()
    store.save(writer, [Entry(2, 8)], HardState(2, 3, 8))
    assert store.snapshot() == Snapshot(7, 1, CONF, WHOLE)
    assert store.snapshot_head() == Snapshot(7, 1, CONF)
    assert (store.first_index(), store.last_index()) == (8, 8)
    writer.discard()  # it was kept: nothing happens
    store.verify()


def test_a_streamed_store_gives_raft_a_snapshot_without_data():
    disk = SimulatedDisk()
    store = filled(disk)
    store.keep_snapshot(write(store, 7))
    store.compact(5)
    store.close()
    store = StreamedStorage.open(disk.folder())
    assert store.snapshot() == Snapshot(7, 1, CONF)
    assert store.initial_state() == (HardState(1, 1, 9), CONF)
    with store.open_snapshot() as reader:
        assert reader.read() == WHOLE
    with pytest.raises(SnapshotUnavailableError):
        StreamedStorage.create(SimulatedDisk().folder()).snapshot()


def test_the_log_goes_on_while_a_snapshot_is_written_by_another_thread(tmp_path):
    with FileStorage.create(tmp_path / "store") as store, ThreadPoolExecutor(1) as pool:
        store.save(entries=[Entry(1, 1)], hard_state=HardState(1, 1, 1))
        writing = pool.submit(write, store, 1, [bytes(2**18)] * 40)  # over what is synced at once
        for index in range(2, 60):
            store.save(entries=[Entry(1, index)], hard_state=HardState(1, 1, index))
        store.keep_snapshot(writing.result(60))
        store.compact(1)
        assert store.snapshot_head() == Snapshot(1, 1, CONF)
        assert store.last_index() == 59
    with FileStorage.open(tmp_path / "store") as store:
        assert len(store.snapshot().data) == 10 * 2**20


def test_a_reader_comes_to_the_end_although_another_snapshot_takes_the_place(tmp_path):
    with FileStorage.create(tmp_path / "store") as store:
        entries = [Entry(1, index) for index in range(1, 10)]
        store.save(entries=entries, hard_state=HardState(1, 1, 9))
        store.keep_snapshot(write(store, 7))
        with store.open_snapshot() as reader:
            pieces = reader.pieces(100)
            first = next(pieces)
            store.keep_snapshot(write(store, 8, [b"later"]))
            assert first + b"".join(pieces) == WHOLE
        assert store.snapshot().data == b"later"


def test_what_is_not_kept_leaves_nothing():
    disk = SimulatedDisk()
    store = filled(disk)
    names = set(disk.files())
    with write(store, 7) as writer:
        writer.finish()
        writer.finish()
    with pytest.raises(RefusedWriteError):
        writer.write(b"more")
    with pytest.raises(RefusedWriteError):
        store.keep_snapshot(writer)
    assert set(disk.files()) == names
    write(store, 8).finish()
    assert set(disk.files()) > names
    disk.kill()
    FileStorage.open(disk.folder())
    assert set(disk.files()) == names


def test_two_drafts_of_one_snapshot_do_not_meet():
    store = filled(SimulatedDisk())
    one, other = write(store, 7, [b"one"]), write(store, 7, [b"other"])
    store.keep_snapshot(one)
    with pytest.raises(RefusedWriteError, match="already"), other:
        store.keep_snapshot(other)
    assert store.snapshot().data == b"one"


def test_a_snapshot_that_cannot_be_is_refused_and_nothing_changes():
    store = filled(SimulatedDisk())
    for index, term in ((7, 2), (10, 1)):
        with pytest.raises(RefusedWriteError), write(store, index, term=term) as writer:
            store.keep_snapshot(writer)
    with pytest.raises(RefusedWriteError), write(store, 5) as writer:  # below what is committed
        store.save(writer)
    assert (store.snapshot_index, store.last_index()) == (0, 9)
    store.save(entries=[Entry(1, 10)])


@pytest.mark.parametrize("survival", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("received", [False, True])
def test_a_power_cut_at_each_step_leaves_the_snapshot_before_or_this_one(received, survival):
    step, whole = 0, False
    while not whole:
        step += 1
        disk = SimulatedDisk(seed=step)
        store = filled(disk)
        store.create_snapshot(3, CONF, b"before")
        steps = iter(range(1, step))
        disk.faults.before = lambda _call, steps=steps: cut_when_over(steps)
        try:
            with write(store, 12 if received else 7) as writer:
                if received:
                    store.save(writer, hard_state=HardState(2, 0, 12))
                else:
                    store.keep_snapshot(writer)
            whole = True
        except PowerCut:
            pass
        disk.faults.before = None
        disk.crash(survival)
        again = FileStorage.open(disk.folder())
        assert again.snapshot().data in ((WHOLE,) if whole else (b"before", WHOLE))
        kept = again.snapshot().data == WHOLE
        assert again.last_index() == (12 if kept and received else 9)
        assert len([name for name in disk.files() if name.startswith("snapshot-")]) == 1
        again.verify()
    assert step > 9


def cut_when_over(steps):
    if next(steps, None) is None:
        raise PowerCut


def test_a_crash_after_every_byte_of_a_snapshot_leaves_the_one_before():
    size = len(WHOLE) + 200
    for survived in range(0, size, 7):
        disk = SimulatedDisk()
        store = filled(disk)
        store.create_snapshot(3, CONF, b"before")
        write(store, 7)
        disk.crash_after(survived)
        assert FileStorage.open(disk.folder()).snapshot().data == b"before"


def test_a_full_disk_refuses_a_snapshot_and_nothing_else():
    disk = SimulatedDisk()
    store = filled(disk)
    names = set(disk.files())
    disk.faults.capacity = sum(map(len, disk.files().values())) + 500
    with pytest.raises(NoSpaceError, match="snapshot"), write(store, 7):
        pytest.fail("it fits")
    assert set(disk.files()) == names
    store.save(entries=[Entry(1, 10)])
    disk.faults.capacity = None
    store.keep_snapshot(write(store, 7))
    assert store.snapshot().data == WHOLE


@pytest.mark.parametrize("operation", ["open", "write", "sync", "rename", "sync_folder"])
def test_a_failure_while_a_snapshot_is_written_is_final_and_loses_nothing(operation):
    disk = SimulatedDisk()
    store = filled(disk)

    def before(call):
        if call.operation == operation and (call.name.startswith("snapshot") or not call.name):
            raise OSError(errno.EIO, "the test wants it so")

    disk.faults.before = before
    with pytest.raises(WriteFailedError):
        store.keep_snapshot(write(store, 7))
    with pytest.raises(WriteFailedError):
        store.save(entries=[Entry(1, 10)])
    disk.faults.before = None
    disk.crash()
    assert FileStorage.open(disk.folder()).last_index() == 9


def test_a_closed_store_takes_and_gives_no_pieces():
    store = filled(SimulatedDisk())
    writer = write(store, 7)
    store.close()
    for call in (
        lambda: writer.write(b"more"),
        writer.finish,
        store.open_snapshot,
        store.snapshot_head,
        lambda: store.write_snapshot(8, 1, CONF),
    ):
        with pytest.raises(ClosedError):
            call()


def test_a_damaged_snapshot_is_found_out_at_its_end():
    chance = Random(1)  # noqa: S311 - repeatable
    for _ in range(50):
        disk = SimulatedDisk()
        store = filled(disk)
        store.keep_snapshot(write(store, 7))
        (name,) = [name for name in disk.files() if name.startswith("snapshot-")]
        disk.flip(name, 8 * len(disk.files()[name]) - 1 - chance.randrange(8 * len(WHOLE)))
        with store.open_snapshot() as reader, pytest.raises(DamagedError):
            list(reader.pieces(100))


LARGE = """
import resource, sys
from pathlib import Path
from raft_core import ConfState, Entry, HardState
from raft_storage import FileStorage

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

folder, piece = Path(sys.argv[1]), bytes(range(256)) * 4096
with FileStorage.create(folder / "one") as store:
    store.save(entries=[Entry(1, 1)], hard_state=HardState(1, 1, 1))
    before = peak()
    with store.write_snapshot(1, 1, ConfState((1,))) as writer:
        for _ in range(200):
            writer.write(piece)
        store.keep_snapshot(writer)
    with FileStorage.create(folder / "other") as other, store.open_snapshot() as reader:
        with other.write_snapshot(1, 1, ConfState((1,))) as writer:
            for some in reader.pieces():
                writer.write(some)
            other.save(writer)
with FileStorage.open(folder / "other") as store:
    with store.open_snapshot() as reader:
        assert sum(map(len, reader.pieces())) == 200 * 2**20
print(peak() - before)
"""


def test_memory_stays_flat_with_a_snapshot_of_200_mib(tmp_path):
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", LARGE, tmp_path], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 8 * 2**20
