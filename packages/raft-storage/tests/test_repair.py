"""A person may have what is left of a damaged store; what is lost is said."""

import subprocess
import sys

import pytest

from raft_core import ConfState, Entry, HardState
from raft_storage import (
    DamagedError,
    ExistsError,
    FileStorage,
    HoleError,
    NotFoundError,
    RefusedWriteError,
    Settings,
    repair,
)
from raft_storage.testing import SimulatedDisk

TINY = Settings(segment_size=500, room=0)


def filled(disk, snapshot=True):
    place = disk.folder() if isinstance(disk, SimulatedDisk) else disk
    store = FileStorage.create(place, TINY)
    for first in range(1, 40, 3):
        entries = [Entry(1, index, b"%d" % index * 9) for index in range(first, first + 3)]
        store.save(entries=entries, hard_state=HardState(first, 1, first - 1))
        if first == 13 and snapshot:
            store.create_snapshot(9, ConfState((1, 2)), b"state")
            store.compact(9)
    return store


def logs(disk):
    return [name for name in disk.files() if name.startswith("segment-")]


@pytest.mark.parametrize("snapshot", [True, False])
def test_what_is_sound_before_the_damage_is_saved_and_the_rest_is_named(snapshot):
    whole = SimulatedDisk()
    old = filled(whole, snapshot=snapshot)
    whole.kill()
    for name in logs(whole):
        for place in range(0, len(whole.files()[name]), 61):
            disk, new = SimulatedDisk(whole.files()), SimulatedDisk()
            disk.flip(name, place * 8)
            before = {name: data for name, data in disk.files().items() if name != "lock"}
            try:
                FileStorage.open(disk.folder(), TINY).close()
                continue
            except HoleError:
                disk.kill()
            try:
                done = repair(disk.folder(), new.folder())
            except DamagedError:
                assert snapshot  # the only segment that mentions it is the damaged one
                continue
            after = {name: data for name, data in disk.files().items() if name != "lock"}
            assert after == before
            store = FileStorage.open(new.folder())
            first, last = store.first_index(), store.last_index()
            assert store.entries(first, last + 1) == old.entries(first, last + 1)
            assert (done.last_index, done.lost) == (last, range(last + 1, 40))
            assert store.store_id == done.store_id != done.old_store_id == old.store_id
            assert store.hard_state.term <= 37
            assert store.snapshot_index == done.snapshot_index
            store.close()


def test_a_missing_segment_is_a_hole_like_another():
    disk, new = SimulatedDisk(), SimulatedDisk()
    filled(disk, snapshot=False)
    names = logs(disk)
    files = {name: data for name, data in disk.files().items() if name != names[2]}
    done = repair(SimulatedDisk(files).folder(), new.folder())
    assert 0 < done.last_index < 39
    assert done.lost == range(done.last_index + 1, 40)
    assert FileStorage.open(new.folder()).last_index() == done.last_index


def test_a_sound_store_is_not_repaired():
    disk, new = SimulatedDisk(), SimulatedDisk()
    filled(disk)
    disk.kill()
    with pytest.raises(RefusedWriteError):
        repair(disk.folder(), new.folder())
    assert not new.files()
    with pytest.raises(NotFoundError):
        repair(new.folder(), disk.folder())


def test_a_store_in_the_way_is_left_alone():
    disk, other = SimulatedDisk(), SimulatedDisk()
    filled(disk)
    filled(other)
    disk.kill()
    other.kill()
    disk.flip(logs(disk)[-1], 800)
    before = other.files()
    with pytest.raises(ExistsError):
        repair(disk.folder(), other.folder())
    assert {**other.files(), "lock": b""} == {**before, "lock": b""}


def test_the_command_says_what_is_lost(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    with filled(old, snapshot=False):
        pass

    def run(*arguments):
        command = [sys.executable, "-m", "raft_storage", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603

    assert run("check", old).stdout.strip() == "sound: entries 1 to 39"
    segment = sorted(old.glob("segment-*"))[2]
    content = bytearray(segment.read_bytes())
    content[200] ^= 1
    segment.write_bytes(content)
    checked = run("check", old)
    assert (checked.returncode, "HoleError" in checked.stderr) == (1, True)
    repaired = run("repair", old, new)
    assert repaired.returncode == 0
    with FileStorage.open(new) as store:
        assert f"lost: entries {store.last_index() + 1} to 39" in repaired.stdout
    assert run("check", old).returncode == 1
