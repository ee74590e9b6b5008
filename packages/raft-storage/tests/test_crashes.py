"""Power cuts: what was acknowledged is there afterwards, and of the rest all or nothing."""

from random import Random

import pytest

from raft_core import Entry, HardState, Snapshot
from raft_storage import (
    DamagedError,
    FileStorage,
    HoleError,
    MemoryStorage,
    NotFoundError,
    Settings,
)
from raft_storage._writer import SegmentWriter
from raft_storage.testing import (
    Contents,
    PowerCut,
    SimulatedDisk,
    SimulatedFolder,
    random_write,
)
from raft_storage.testing._folder import SimulatedFile

TINY = Settings(segment_size=600)
LOG = "segment-000000000001"


def cut_at(operation, name=LOG):
    """Return a `before` that cuts the power at an operation."""

    def before(call):
        if (call.operation, call.name) == (operation, name):
            raise PowerCut

    return before


def batch(number):
    """Return one of a row of batches that follow each other."""
    first = number * 3 + 1
    entries = [Entry(1, index, bytes([index]) * index) for index in range(first, first + 3)]
    return {"entries": entries, "hard_state": HardState(number + 1, 1, number * 3)}


def history(batches):
    """Return what one store's files hold after each of some batches, and what it gives back."""
    disk = SimulatedDisk()
    store = FileStorage.create(disk.folder(), Settings(room=0))
    states = [(disk.files(), Contents.of(store))]
    for number in range(batches):
        store.save(**batch(number))
        states.append((disk.files(), Contents.of(store)))
    return states


HISTORY = history(6)


@pytest.mark.parametrize("room", [0, 300, 2**20])
def test_a_crash_at_every_sector_leaves_all_of_a_batch_or_nothing_wherever_room_ends(room):
    settings = Settings(segment_size=2**21, room=room)
    for seed in range(60):
        disk = SimulatedDisk(seed=seed)
        store = FileStorage.create(disk.folder(), settings)
        for number in range(seed % 6):
            store.save(**batch(number))
        disk.kill()
        store = FileStorage.open(disk.folder(), settings)
        acknowledged = Contents.of(store)
        disk.faults.before = cut_at("sync")
        with pytest.raises(PowerCut):
            store.save(**batch(seed % 6))
        disk.faults.before = None
        disk.crash(survival=0.5)
        store = FileStorage.open(disk.folder(), settings)
        if Contents.of(store) == acknowledged:
            store.save(**batch(seed % 6))
        store.save(**batch(seed % 6 + 1))
        assert store.last_index() == (seed % 6 + 2) * 3
        store.verify()


def test_zeros_wait_for_batches_to_come():
    disk = SimulatedDisk()
    store = FileStorage.create(disk.folder(), Settings(segment_size=3000, room=1000))
    sizes = []
    for number in range(9):
        store.save(**batch(number))
        sizes.append(len(disk.files()[LOG]))
    assert len(set(sizes)) < 5  # most batches fit into the room that is there
    assert max(sizes) >= 3000 > min(sizes)
    assert not disk.files()[LOG].endswith(bytes(1000))  # a sealed segment ends with its commit


@pytest.mark.parametrize("written", [4, 5])
def test_a_crash_at_every_byte_of_a_batch_leaves_all_of_it_or_nothing(written):
    files, acknowledged = HISTORY[written]
    full, wanted = HISTORY[written + 1]
    size = len(full[LOG]) - len(files[LOG])
    for survived in range(size + 1):
        disk = SimulatedDisk(files)
        store = FileStorage.open(disk.folder())
        disk.faults.before = cut_at("sync")
        with pytest.raises(PowerCut):
            store.save(**batch(written))
        disk.faults.before = None
        disk.crash_after(survived)
        store = FileStorage.open(disk.folder())
        assert Contents.of(store) == (wanted if survived == size else acknowledged)
        assert (store.recovery.cut is None) == (survived in (0, size))
        if survived < size:
            store.save(**batch(written))
        assert Contents.of(store) == wanted


@pytest.mark.parametrize("filler", [b"\0", b"\xff", b"\xf1raftOK\n"])
def test_a_tail_of_anything_after_every_byte_of_a_batch_is_cut(filler):
    files, acknowledged = HISTORY[4]
    full, wanted = HISTORY[5]
    start, end = len(files[LOG]), len(full[LOG])
    tail = (filler * end)[:600]
    for cut in range(start, end + 1):
        log = full[LOG][:cut] + tail
        whole = log.startswith(full[LOG])  # the batch itself may end like the filler
        disk = SimulatedDisk({**files, LOG: log})
        store = FileStorage.open(disk.folder())
        assert Contents.of(store) == (wanted if whole else acknowledged)
        kept = end if whole else start
        torn = log[kept:].rstrip(b"\0")
        assert disk.files()[LOG] == (log[:kept] if torn else log)  # zeros alone are room
        assert disk.files().get(store.recovery.cut or "none", b"") == torn


def test_without_its_last_bytes_an_acknowledged_batch_is_a_hole():
    files, _ = HISTORY[5]
    before, _ = HISTORY[4]
    for cut in range(len(before[LOG]), len(files[LOG])):
        disk = SimulatedDisk({**files, LOG: files[LOG][:cut]})
        with pytest.raises(HoleError) as caught:
            FileStorage.open(disk.folder())
        assert caught.value.last_index == 15
        assert disk.files()[LOG] == files[LOG][:cut]


def test_without_notes_every_cut_of_the_last_two_batches_leaves_whole_batches():
    states = HISTORY[3:6]
    files = states[-1][0]
    ends = [len(state[0][LOG]) for state in states]
    store = files["store"][:4096].ljust(3 * 4096, b"\0")
    for cut in range(ends[0], ends[2] + 1):
        disk = SimulatedDisk({**files, LOG: files[LOG][:cut], "store": store})
        found = Contents.of(FileStorage.open(disk.folder()))
        assert found == states[sum(cut >= end for end in ends) - 1][1]


@pytest.mark.parametrize("seed", range(12))
def test_power_cuts_at_any_call_lose_nothing_acknowledged(seed):
    for part in range(25):
        crash_a_life(seed * 1000 + part)


def crash_a_life(seed):
    """Let one store live, crash and come back several times, beside one that never does."""
    chance = Random(seed)  # noqa: S311 - repeatable
    disk = SimulatedDisk(seed=seed)
    model = MemoryStorage()
    store = FileStorage.create(disk.folder(), TINY)
    for _ in range(4):
        countdown(disk, chance.randint(1, 120))
        write = random_write(chance, model)
        try:
            while True:
                write(store)
                write(model)
                write = random_write(chance, model)
        except PowerCut:
            disk.faults.before = None
        disk.crash(chance.choice((0.0, 0.2, 0.5, 0.8, 1.0)))
        before = Contents.of(model)
        write(model)
        after = Contents.of(model)
        store = FileStorage.open(disk.folder(), TINY)
        found = Contents.of(store)
        store.verify()
        assert before.survives_as(found) or after.survives_as(found), seed
        model = MemoryStorage()
        refill(model, found)


def crash_lives(count):
    for seed in range(count):
        crash_a_life(seed)


def countdown(disk, calls):
    """Cut the power after so many calls."""
    left = [calls]

    def before(_call):
        left[0] -= 1
        if left[0] <= 0:
            raise PowerCut

    disk.faults.before = before


def refill(model, found):
    """Bring a store in memory into a state."""
    if found.snapshot is None:
        model.save(entries=found.entries, hard_state=found.hard_state)
        return
    low = found.first_index
    if low > 1:
        model.save(Snapshot(low - 1, found.terms[0]))
    model.save(entries=found.entries, hard_state=found.hard_state)
    snapshot = found.snapshot
    if snapshot.index >= low:
        model.create_snapshot(snapshot.index, snapshot.conf_state, snapshot.data)
    else:
        model._snapshot = snapshot


def test_every_crash_while_a_store_is_made_leaves_a_store_or_none():
    for calls in range(1, 30):
        for survival in (0.0, 0.5, 1.0):
            disk = SimulatedDisk(seed=calls)
            countdown(disk, calls)
            try:
                FileStorage.create(disk.folder())
            except PowerCut:
                disk.faults.before = None
                disk.crash(survival)
                try:
                    store = FileStorage.open(disk.folder())
                except NotFoundError:
                    store = FileStorage.create(disk.folder())
            else:
                disk.faults.before = None
                disk.crash()
                store = FileStorage.open(disk.folder())
            store.save(**batch(0))


def test_a_killed_process_may_leave_a_batch_that_is_made_durable_before_it_counts():
    files, _ = HISTORY[4]
    disk = SimulatedDisk(files)
    store = FileStorage.open(disk.folder())
    disk.faults.before = cut_at("sync")
    with pytest.raises(PowerCut):
        store.save(**batch(4))
    disk.faults.before = None
    disk.kill()
    found = Contents.of(FileStorage.open(disk.folder()))
    assert found.hard_state.term == 5
    disk.crash()
    assert Contents.of(FileStorage.open(disk.folder())) == found


def test_a_disk_whose_syncs_lie_loses_something():
    """Otherwise the other tests here prove nothing."""
    disk = SimulatedDisk()
    store = FileStorage.create(disk.folder())
    disk.faults.lies = True
    store.save(**batch(0))
    disk.crash()
    assert FileStorage.open(disk.folder()).last_index() == 0


def test_copies_of_torn_tails_do_not_pile_up():
    files, _ = HISTORY[2]
    for number in range(2, 12):
        disk = SimulatedDisk({**files, LOG: files[LOG] + b"torn"})
        store = FileStorage.open(disk.folder(), Settings(room=0))
        assert disk.files()[store.recovery.cut or "none"] == b"torn"
        store.save(**batch(number))
        files = disk.files()
    assert sum(name.startswith("cut-") for name in files) == 4


def without_syncs_of(prefix):
    """Return what a file does instead of syncing if its name begins so."""
    honest = SimulatedFile.sync

    def sync(self):
        if not self._name.startswith(prefix):
            honest(self)

    return sync


@pytest.mark.parametrize(
    ("target", "name", "substitute"),
    [
        (SimulatedFile, "sync", without_syncs_of("segment-")),
        (SimulatedFile, "sync", without_syncs_of("snapshot-")),
        (SimulatedFolder, "sync", lambda _: None),
        (SegmentWriter, "seal", lambda self, _: setattr(self, "index_at", 1)),
    ],
    ids=["no sync of the log", "no sync of snapshots", "no sync of names", "no seal"],
)
def test_power_cuts_find_each_safeguard_that_is_left_out(monkeypatch, target, name, substitute):
    monkeypatch.setattr(target, name, substitute)
    with pytest.raises((AssertionError, DamagedError)):
        crash_lives(300)


def test_recovery_without_a_sync_of_its_own_would_serve_what_is_not_durable(monkeypatch):
    monkeypatch.setattr("raft_storage._opening._settle", lambda *_: None)
    with pytest.raises(AssertionError):
        test_a_killed_process_may_leave_a_batch_that_is_made_durable_before_it_counts()
