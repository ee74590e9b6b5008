"""What importers see."""

import pytest

import raft_storage
from raft_core import MemoryStorage as CoreStorage
from raft_core import Storage
from raft_storage import FileStorage, LogStore, MemoryStorage, SystemFolder, testing
from raft_storage.testing import SimulatedDisk


@pytest.mark.parametrize("module", [raft_storage, testing])
def test_all_lists_exactly_the_public_names(module):
    public = {name for name in vars(module) if not name.startswith("_")} - {"testing"}
    assert set(module.__all__) == public


def test_both_stores_follow_the_protocol():
    stores: list[type[LogStore]] = [FileStorage, MemoryStorage]  # checked by pyright
    core: list[type[Storage]] = [FileStorage, MemoryStorage, CoreStorage]
    assert stores
    assert core


def test_both_folders_follow_the_seam(tmp_path):
    folders: list[raft_storage.Folder] = [SystemFolder(tmp_path), SimulatedDisk().folder()]
    assert [list(folder.names()) for folder in folders] == [[], []]
