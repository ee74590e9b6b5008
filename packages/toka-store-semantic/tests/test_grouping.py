import numpy as np
import pytest

from toka.store.semantic import HashingEmbedder, TooMany, VectorIndex, cluster, near_duplicates

RANDOM = np.random.default_rng(5)


def blobs(sizes: list[int], spread: float, noise: int = 0) -> VectorIndex:
    """Make some crowds of vectors far from each other, then some that are alone."""
    centres = np.linalg.qr(RANDOM.normal(size=(64, 64)))[0][: len(sizes)]
    parts = [
        centre + RANDOM.normal(size=(size, 64)) * spread / 8
        for centre, size in zip(centres, sizes, strict=True)
    ]
    rows = np.concatenate([*parts, RANDOM.normal(size=(noise, 64))]).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    index = VectorIndex(64, engine="exact")
    index.add(np.arange(1, len(rows) + 1), rows)
    return index


def test_crowds_are_found_and_loners_are_noise():
    index = blobs([40, 25, 15], 0.3, noise=12)
    found = cluster(index.positions, index.get)
    assert [len(each.positions) for each in found.clusters] == [40, 25, 15]
    assert found.clusters[0].positions == tuple(range(1, 41))
    assert found.noise == tuple(range(81, 93))
    assert all(each.centre in each.positions for each in found.clusters)
    assert all(0.8 < each.coherence <= 1.0001 for each in found.clusters)


def test_a_tighter_crowd_is_more_coherent():
    tight, loose = blobs([30], 0.1), blobs([30], 0.6)
    first = near_duplicates(tight.positions, tight.get, similarity=0.5)[0].coherence
    second = near_duplicates(loose.positions, loose.get, similarity=0.5)[0].coherence
    assert first > second


def test_equal_events_are_one_cluster():
    rows = np.repeat(HashingEmbedder(64).embed(["the same"]), 8, axis=0)
    index = VectorIndex(64, engine="exact")
    index.add(np.arange(1, 9), rows)
    found = cluster(index.positions, index.get)
    assert [each.positions for each in found.clusters] == [tuple(range(1, 9))]
    assert not found.noise


def test_too_few_for_a_cluster_are_noise():
    index = blobs([3], 0.1)
    found = cluster(index.positions, index.get, least=5)
    assert found.clusters == ()
    assert found.noise == (1, 2, 3)


def test_nothing_is_grouped_in_nothing():
    index = VectorIndex(64, engine="exact")
    assert cluster(index.positions, index.get).clusters == ()
    assert near_duplicates(index.positions, index.get) == []


def test_near_duplicates_are_grouped():
    texts = [
        "Disk 3 of the server in Berlin is full",
        "disk 3 of the server in Berlin is FULL!",
        "An agent has finished its work",
        "An agent has finished its work",
        "Nothing like the others",
    ]
    index = VectorIndex(384, engine="exact")
    index.add(np.arange(1, 6), HashingEmbedder().embed(texts))
    groups = near_duplicates(index.positions, index.get)
    assert sorted(group.positions for group in groups) == [(1, 2), (3, 4)]


def test_too_many_are_refused_with_the_figures():
    index = blobs([30], 0.1)
    with pytest.raises(TooMany, match=r"30 events .* the limit is 20"):
        cluster(index.positions, index.get, limit=20)
    with pytest.raises(TooMany):
        near_duplicates(index.positions, index.get, limit=20)
