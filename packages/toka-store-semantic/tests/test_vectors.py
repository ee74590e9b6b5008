import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toka.store.semantic import EngineMissing, VectorIndex

RANDOM = np.random.default_rng(1)


def some(count: int, dimensions: int = 32, random: np.random.Generator = RANDOM) -> np.ndarray:
    rows = random.normal(size=(count, dimensions)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float16).astype(np.float32)


def filled(engine: str, rows: np.ndarray, **options) -> VectorIndex:
    index = VectorIndex(rows.shape[1], engine=engine, **options)  # type: ignore[arg-type]
    index.add(np.arange(1, len(rows) + 1) * 2, rows)  # even positions
    return index


@given(st.integers(1, 60), st.integers(1, 70), st.integers(0, 1_000))
@settings(max_examples=50)
def test_exact_search_is_sorting_by_cosine(count, wanted, seed):
    rows = some(count, 8, np.random.default_rng(seed))
    (query,) = some(1, 8, np.random.default_rng(seed + 1))
    found = filled("exact", rows).search(query, wanted)
    expected = np.argsort(-(rows @ query), kind="stable")[:wanted]
    assert found.positions.tolist() == ((expected + 1) * 2).tolist()
    assert (np.diff(found.similarities) <= 0).all()


def test_of_equals_the_older_comes_first():
    rows = np.repeat(some(1), 20, axis=0)
    assert filled("exact", rows).search(rows[0], 5).positions.tolist() == [2, 4, 6, 8, 10]


@pytest.mark.parametrize("engine", ["exact", "graph"])
def test_vectors_come_back_by_position(engine):
    rows = some(50)
    index = filled(engine, rows)
    assert len(index) == 50
    assert index.engine == engine
    assert index.positions.tolist() == list(range(2, 102, 2))
    np.testing.assert_array_equal(index.get(np.array([4, 20, 100])), rows[[1, 9, 49]])
    assert index.get(np.array([], np.int64)).shape == (0, 32)
    assert index.has(4)
    assert not index.has(5)
    assert not index.has(1_000)


@pytest.mark.parametrize("engine", ["exact", "graph"])
def test_an_empty_index_finds_nothing(engine):
    index = VectorIndex(32, engine=engine)
    assert not len(index.search(some(1)[0], 5).positions)
    assert not len(index.search(some(1)[0], 5, np.array([], np.int64)).positions)


def test_a_graph_finds_nearly_all_of_the_nearest():
    rows, queries = some(3_000), some(50)
    index = filled("graph", rows)
    hits = 0
    for query in queries:
        truth = set((np.argsort(-(rows @ query))[:10] + 1) * 2)
        hits += len(truth & set(index.search(query, 10).positions.tolist()))
    assert hits / 500 >= 0.95


@pytest.mark.parametrize("share", [0.01, 0.5, 0.95])
def test_a_graph_searches_among_some(share, monkeypatch):
    monkeypatch.setattr("toka.store.semantic._graph._COMPARED", 100)
    rows = some(2_000)
    index = filled("graph", rows)
    chosen = np.flatnonzero(RANDOM.random(2_000) < share)
    (query,) = some(1)
    found = index.search(query, 10, (chosen + 1) * 2).positions
    assert set(found.tolist()) <= set(((chosen + 1) * 2).tolist())
    truth = (chosen[np.argsort(-(rows[chosen] @ query))[:10]] + 1) * 2
    assert len(set(truth.tolist()) & set(found.tolist())) >= min(9, len(chosen))


def test_those_allowed_may_be_the_farthest_of_all(monkeypatch):
    monkeypatch.setattr("toka.store.semantic._graph._COMPARED", 10)
    rows = some(2_000)
    (query,) = some(1)
    farthest = np.sort(np.argsort(rows @ query)[:50])
    found = filled("graph", rows).search(query, 10, (farthest + 1) * 2)
    assert len(found.positions) == 10
    assert set(found.positions.tolist()) <= set(((farthest + 1) * 2).tolist())


def test_the_index_becomes_a_graph_when_it_grows():
    rows = some(300)
    index = filled("auto", rows[:100], threshold=200)
    assert index.engine == "exact"
    index.add(np.arange(1_001, 1_201), rows[100:])
    assert index.engine == "graph"
    assert len(index) == 300
    np.testing.assert_array_equal(index.get(np.array([2, 1_001])), rows[[0, 100]])


def test_without_usearch_all_are_compared(monkeypatch):
    monkeypatch.setattr("toka.store.semantic._vectors.find_spec", lambda _: None)
    assert filled("auto", some(30), threshold=10).engine == "exact"


def test_a_graph_without_usearch_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "usearch.index", None)
    with pytest.raises(EngineMissing, match=r"toka-store-semantic\[large\]"):
        VectorIndex(8, engine="graph")


def test_a_saved_graph_is_taken_up(tmp_path):
    rows = some(300)
    path = tmp_path / "graph"
    filled("graph", rows, path=path).save(600)
    index = VectorIndex(32, engine="graph", path=path)
    assert index.restore(300, 600) == 600
    assert index.positions.tolist() == list(range(2, 602, 2))
    before = path.stat().st_mtime_ns
    index.save(600)
    assert path.stat().st_mtime_ns == before, "nothing has changed"


def test_a_graph_ahead_of_the_catalogue_is_discarded(tmp_path):
    path = tmp_path / "graph"
    filled("graph", some(10), path=path).save(20)
    index = VectorIndex(32, engine="graph", path=path)
    assert index.restore(10, 19) == 0
    assert not len(index)
    assert not path.exists()


def test_no_changed_byte_of_a_graph_is_believed(tmp_path):
    """Loaded as it is, such a file can end the interpreter at a later search."""
    path = tmp_path / "graph"
    filled("graph", some(40, 8), path=path).save(80)
    whole = path.read_bytes()
    for at in range(0, len(whole), 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
        assert VectorIndex(8, engine="graph", path=path).restore(40, 80) == 0
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        assert VectorIndex(8, engine="graph", path=path).restore(40, 80) == 0
