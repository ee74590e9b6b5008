"""Files that are read once, and again as soon as they are others."""

import time

import pytest

from toka.orchestration import SpecCache, SpecError, _spec_cache, load_specs

SPEC = "metadata: {{name: {name}}}\ntasks: {{default: [{{id: a, description: b, entry: m:f}}]}}\n"
LATER = 10**10


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(SPEC.format(name="one"))
    return path


@pytest.fixture
def reads(monkeypatch):
    reads = []

    def load(path):
        reads.append(path)
        return load_specs(path)

    monkeypatch.setattr(_spec_cache, "load_specs", load)
    return reads


def later() -> int:
    return time.time_ns() + LATER


def test_a_file_that_has_settled_is_read_once(path, reads):
    cache = SpecCache(later)
    assert cache.find(path) is None
    assert cache.load(path) is cache.load(path)
    assert cache.find(path) is cache.load(path)
    assert cache.load(path) == load_specs(path)
    assert len(reads) == 1


def test_a_file_that_was_changed_just_now_is_read_again(path, reads):
    cache = SpecCache()
    cache.load(path)
    assert cache.find(path) is None
    cache.load(path)
    assert len(reads) == 2


@pytest.mark.parametrize("name", ["two", "other"])
def test_a_file_that_has_changed_is_read_again(path, name):
    cache = SpecCache(later)
    cache.load(path)
    path.write_text(SPEC.format(name=name))
    assert [agent.name for agent in cache.load(path).agents] == [name]


def test_a_file_that_was_replaced_under_its_old_times_is_read_again(path, tmp_path):
    cache = SpecCache(later)
    cache.load(path)
    other = tmp_path / "other"
    other.write_text(SPEC.format(name="two"))
    other.replace(path)
    assert [agent.name for agent in cache.load(path).agents] == ["two"]


def test_folders_and_faults_are_not_kept(path, tmp_path, reads):
    cache = SpecCache(later)
    for _ in range(2):
        cache.load(path.parent)
        with pytest.raises(SpecError):
            cache.load(tmp_path / "none.yaml")
    assert len(reads) == 4


def test_so_many_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(_spec_cache, "KEPT", 2)
    cache = SpecCache(later)
    paths = [tmp_path / f"{number}.yaml" for number in range(3)]
    for path in paths:
        path.write_text(SPEC.format(name="one"))
        cache.load(path)
    assert [cache.find(path) is not None for path in paths] == [False, True, True]
