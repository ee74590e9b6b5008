"""No acknowledgement leaves before its sync: by the calls at the seam, and by system calls."""

import re
import shutil
import subprocess
import sys
from random import Random

import pytest

from raft_core import Entry, HardState
from raft_storage import FileStorage, MemoryStorage, Settings
from raft_storage.testing import SimulatedDisk, random_write

TINY = Settings(segment_size=500)


@pytest.mark.parametrize("seed", range(10))
def test_family_07_when_a_write_returns_nothing_but_notes_is_unsynced(seed):
    chance = Random(seed)  # noqa: S311 - repeatable
    disk = SimulatedDisk()
    store, model = FileStorage.create(disk.folder(), TINY), MemoryStorage()
    for _ in range(100):
        write = random_write(chance, model)
        write(store)
        write(model)
        assert set(disk.unsynced()) <= {"store"}


def test_the_calls_of_one_batch_are_write_then_sync_then_note():
    disk = SimulatedDisk()
    FileStorage.create(disk.folder()).close()
    store = FileStorage.open(disk.folder())
    calls = []
    disk.faults.before = calls.append
    store.save(entries=[Entry(1, 1)], hard_state=HardState(1, 1, 0))
    assert [(call.operation, call.name) for call in calls] == [
        ("write", "segment-000000000001"),
        ("sync", "segment-000000000001"),
        ("write", "store"),
    ]


def test_a_commit_index_alone_waits_for_the_next_batch_or_the_end():
    disk = SimulatedDisk()
    store, model = FileStorage.create(disk.folder()), MemoryStorage()
    for each in (store, model):
        each.save(entries=[Entry(1, 1)], hard_state=HardState(1, 1, 0))
    calls = []
    disk.faults.before = calls.append
    store.save(hard_state=HardState(1, 1, 1))
    assert calls == []
    assert store.initial_state()[0].commit == 1
    store.close()
    assert FileStorage.open(disk.folder()).initial_state()[0].commit == 1


ACKNOWLEDGING = """
import os, sys
from raft_core import ConfState, Entry, HardState
from raft_storage import FileStorage, Settings

with FileStorage.create(sys.argv[1], Settings(segment_size=3000)) as store:
    os.write(1, b"acknowledged\\n")
    for index in range(1, 60):
        entries = [Entry(1, index, bytes(200))]
        store.save(entries=entries, hard_state=HardState(index, 1, index - 1))
        os.write(1, b"acknowledged\\n")
        if index % 20 == 0:
            store.create_snapshot(index - 5, ConfState((1,)), b"state")
            os.write(1, b"acknowledged\\n")
            store.compact(index - 10)
            os.write(1, b"acknowledged\\n")
"""


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_the_system_sees_every_sync_before_its_acknowledgement(tmp_path):
    trace = tmp_path / "trace"
    calls = "openat,close,write,pwrite64,ftruncate,fsync,fdatasync,rename,renameat,renameat2,unlink"
    command = ["strace", "-f", "-y", "-o", trace, "-e", f"trace={calls}"]
    program = [sys.executable, "-c", ACKNOWLEDGING, tmp_path / "store"]
    done = subprocess.run([*command, *program], capture_output=True, text=True, check=False)  # noqa: S603
    if "ptrace" in done.stderr:
        pytest.skip("this system does not let strace trace")
    assert done.stdout.count("acknowledged") == 64, done.stderr
    assert unsynced_at_acknowledgements(trace.read_text(), str(tmp_path / "store")) == [set()] * 64


def unsynced_at_acknowledgements(trace, folder):
    """Return which files had unsynced changes at each acknowledgement."""
    dirty, found = set(), []
    for line in trace.splitlines():
        name = re.search(rf"{re.escape(folder)}/([\w.-]+)", line)
        if "acknowledged" in line:
            found.append(dirty - {"store"})
        elif "pwrite64(" in line and name and name[1] != "lock":
            dirty.add(name[1])
        elif "rename" in line and name:
            dirty.add("the folder")
            dirty.discard(name[1])
        elif "fdatasync(" in line and name:
            assert line.endswith("= 0"), line
            dirty.discard(name[1])
        elif "fsync(" in line and f"<{folder}>" in line:
            assert line.endswith("= 0"), line
            dirty.discard("the folder")
    return found
