"""One process at a time, and only the one that opened the store."""

import os
import shutil
import subprocess
import sys

import pytest

from raft_core import Entry
from raft_storage import ClosedError, ExistsError, FileStorage, LockedError, NotFoundError

OPENING = "import sys; from raft_storage import FileStorage; FileStorage.open(sys.argv[1])"


def opened_by_another_process(path):
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", OPENING, path], capture_output=True, text=True, check=False
    )
    return done.returncode == 0 or ("LockedError" not in done.stderr and done.stderr)


def test_a_second_object_in_the_same_process_is_refused(tmp_path):
    with FileStorage.create(tmp_path / "store"):
        with pytest.raises(LockedError, match=str(os.getpid())):
            FileStorage.open(tmp_path / "store")
        with pytest.raises(LockedError):
            FileStorage.create(tmp_path / "store")
    FileStorage.open(tmp_path / "store").close()


def test_another_process_is_refused_even_after_a_copy_and_a_refused_opening(tmp_path):
    path = tmp_path / "store"
    with FileStorage.create(path):
        with pytest.raises(LockedError):
            FileStorage.open(path)
        shutil.copytree(path, tmp_path / "copy")
        assert not opened_by_another_process(path)
    assert opened_by_another_process(path) is True


def test_a_fork_may_not_use_the_store_of_its_parent(tmp_path):
    store = FileStorage.create(tmp_path / "store")
    child = os.fork()
    if not child:
        try:
            store.save(entries=[Entry(1, 1)])
        except ClosedError:
            store.close()
            os._exit(0)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    store.save(entries=[Entry(1, 1)])
    store.close()
    assert FileStorage.open(tmp_path / "store").last_index() == 1


def test_opening_does_not_make_a_store(tmp_path):
    for path in (tmp_path / "absent", tmp_path):
        with pytest.raises(NotFoundError):
            FileStorage.open(path)
    assert list(tmp_path.iterdir()) == []


def test_making_a_store_spares_one_that_is_there(tmp_path):
    with FileStorage.create(tmp_path / "store") as store:
        store.save(entries=[Entry(1, 1)])
    with pytest.raises(ExistsError):
        FileStorage.create(tmp_path / "store")
    (tmp_path / "store" / "segment-000000000001").unlink()
    with pytest.raises(ExistsError):
        FileStorage.create(tmp_path / "store")
