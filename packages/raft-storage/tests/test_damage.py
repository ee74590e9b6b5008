"""Damage to what was durable: found, named, and never mended by guessing."""

import zlib
from types import SimpleNamespace

import pytest

from raft_core import ConfState, Entry, HardState
from raft_storage import (
    ChecksumKind,
    DamagedError,
    FileStorage,
    FormatError,
    HoleError,
    Settings,
)
from raft_storage.testing import Contents, SimulatedDisk, flip_bits

TINY = Settings(segment_size=500)
LOG = "segment-000000000001"


def sample():
    """Return a disk with a store of several segments and a snapshot."""
    disk = SimulatedDisk()
    store = FileStorage.create(disk.folder(), TINY)
    for first in range(1, 40, 3):
        entries = [Entry(1, index, bytes(20)) for index in range(first, first + 3)]
        store.save(entries=entries, hard_state=HardState(first, 1, first - 1))
    store.create_snapshot(9, ConfState((1, 2)), b"state")
    disk.kill()
    return disk


def segments(disk):
    return [name for name in disk.files() if name.startswith("segment-")]


def reopen(disk, **changes):
    """Open a copy of a disk on which some files are others, or gone."""
    files = {**disk.files(), **changes}
    copy = SimulatedDisk({name: data for name, data in files.items() if data is not None})
    return FileStorage.open(copy.folder(), TINY)


@pytest.mark.parametrize("kind", ChecksumKind)
def test_no_flipped_bit_is_silent(kind):
    report = flip_bits(10_000, seed=kind, checksum=kind)
    assert report.silent == []
    assert report.refused + report.harmless == 10_000
    assert report.refused > 9_000


def test_a_snapshot_without_a_checksum_would_leave_flips_silent(monkeypatch):
    blind = SimpleNamespace(crc32=lambda _data, _start=0: 0)
    monkeypatch.setattr("raft_storage._snapshots.zlib", blind)
    assert {name for name, _ in flip_bits(2000).silent} == {f"snapshot-{7:020}-{3:020}"}


def test_without_notes_a_flip_in_the_last_batch_would_be_taken_for_a_torn_write(monkeypatch):
    monkeypatch.setattr("raft_storage._ledger.Ledger.write", lambda _self, _note: None)
    assert flip_bits(500).silent


def test_a_flip_between_sound_batches_is_a_hole_with_its_range():
    disk = SimulatedDisk()
    store = FileStorage.create(disk.folder())
    for index in range(1, 6):
        store.save(entries=[Entry(1, index, b"data")], hard_state=HardState(1, 1, min(index, 2)))
    disk.kill()
    disk.flip(LOG, disk.files()[LOG].index(b"data", 450) * 8)
    before = disk.files()
    with pytest.raises(HoleError, match="entries 3 to 5") as caught:
        FileStorage.open(disk.folder())
    assert (caught.value.first_index, caught.value.last_index) == (3, 5)
    assert caught.value.file == LOG
    assert disk.files() == before


def test_each_missing_segment_is_a_hole():
    disk = sample()
    for name in segments(disk):
        with pytest.raises(HoleError):
            reopen(disk, **{name: None})


def test_the_range_of_a_missing_segment_is_named():
    disk = sample()
    with pytest.raises(HoleError) as caught:
        reopen(disk, **{segments(disk)[0]: None})
    assert caught.value.first_index == 1
    assert caught.value.last_index < 10


def test_all_segments_missing_is_a_hole():
    disk = sample()
    with pytest.raises(HoleError) as caught:
        reopen(disk, **dict.fromkeys(segments(disk)))
    assert caught.value.last_index == 39


def test_exchanged_segments_are_a_hole():
    disk = sample()
    first, second, *_ = segments(disk)
    files = disk.files()
    with pytest.raises(HoleError):
        reopen(disk, **{first: files[second], second: files[first]})


def test_a_segment_of_another_store_is_a_hole():
    disk, other = sample(), sample()
    name = segments(disk)[-1]
    with pytest.raises(HoleError):
        reopen(disk, **{name: other.files()[name]})


def test_an_older_copy_of_the_last_segment_is_a_hole():
    disk = SimulatedDisk()
    store = FileStorage.create(disk.folder())
    store.save(entries=[Entry(1, 1)])
    old = disk.files()[LOG]
    store.save(entries=[Entry(1, 2)])
    disk.kill()
    with pytest.raises(HoleError) as caught:
        reopen(disk, **{LOG: old})
    assert (caught.value.first_index, caught.value.last_index) == (1, 2)


def test_a_missing_or_exchanged_snapshot_is_named():
    disk = sample()
    (name,) = [name for name in disk.files() if name.startswith("snapshot-")]
    for content in (None, b"", disk.files()[name][:-1], disk.files()[name] + b"x"):
        with pytest.raises(DamagedError, match="snapshot"):
            reopen(disk, **{name: content})


def test_a_missing_identity_is_named():
    with pytest.raises(DamagedError, match="identity"):
        reopen(sample(), store=None)


def test_a_later_format_is_refused_as_such():
    disk = sample()
    files = disk.files()
    body = b"raftlog\n" + (99).to_bytes(4, "little") + bytes(16)
    identity = zlib.crc32(body).to_bytes(4, "little") + body
    with pytest.raises(FormatError, match="99"):
        reopen(disk, store=identity + files["store"][len(identity) :])


def test_damage_below_the_compaction_does_no_harm():
    disk = sample()
    kept = disk.files()
    store = FileStorage.open(disk.folder(), TINY)
    store.compact(9)
    wanted = Contents.of(store)
    disk.kill()
    gone = [name for name in segments(SimulatedDisk(kept)) if name not in disk.files()]
    assert gone
    copy = SimulatedDisk({**disk.files(), **dict.fromkeys(gone, b"rubbish")})
    assert Contents.of(FileStorage.open(copy.folder(), TINY)) == wanted
    assert not set(gone) & set(copy.files())


def test_damage_is_found_when_it_is_read_and_when_it_is_looked_for():
    disk = sample()
    store = FileStorage.open(disk.folder(), TINY)
    name = segments(disk)[0]
    disk.flip(name, 8 * (disk.files()[name].index(bytes(20), 300)))
    with pytest.raises(HoleError):
        store.verify()
    with pytest.raises(HoleError):
        store.entries(1, 40)


def test_a_write_that_went_elsewhere_is_found():
    for offset in (0, 100, 5000):
        disk = sample()
        store = FileStorage.open(disk.folder(), TINY)
        disk.faults.misdirect = (segments(disk)[0], offset)
        store.save(entries=[Entry(50, 40, b"lost")])
        disk.kill()
        with pytest.raises(HoleError):
            FileStorage.open(disk.folder(), TINY)


def test_a_write_that_never_happened_is_found():
    disk = SimulatedDisk()
    store = FileStorage.create(disk.folder(), Settings(room=0))
    store.save(entries=[Entry(1, 1)])
    disk.faults.lies = True
    store.save(entries=[Entry(1, 2)])
    disk.faults.lies = False
    store.save(entries=[Entry(1, 3)])
    disk.kill()
    log = disk.files()[LOG]
    batch = (len(log) - 160) // 3
    with pytest.raises(HoleError):
        reopen(disk, **{LOG: log[: -2 * batch] + bytes(batch) + log[-batch:]})


def test_an_entry_that_holds_a_log_does_not_pass_for_one():
    disk = SimulatedDisk()
    store = FileStorage.create(disk.folder(), Settings(room=0))
    store.save(entries=[Entry(1, 1, b"first")])
    store.save(entries=[Entry(1, 2, b"second")])
    disk.kill()
    whole = disk.files()[LOG]
    store = FileStorage.open(disk.folder(), Settings(room=0))
    store.save(entries=[Entry(1, 3, whole)])
    full = disk.files()[LOG]
    disk.kill()
    disk = SimulatedDisk({**disk.files(), LOG: full[:-8], "store": disk.files()["store"][:4096]})
    assert FileStorage.open(disk.folder()).last_index() == 2


@pytest.mark.parametrize("size", [0, 1, 40, 63, 4096])
def test_rubbish_in_place_of_any_file_is_refused(size):
    disk = sample()
    for name in disk.files():
        if name != "lock":
            with pytest.raises(DamagedError):
                reopen(disk, **{name: b"\x7f" * size})
