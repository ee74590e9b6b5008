import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toka.store.semantic import HashingEmbedder

EMBEDDER = HashingEmbedder()


def cosine(first: str, second: str) -> float:
    rows = EMBEDDER.embed([first, second])
    return float(rows[0] @ rows[1])


@given(st.text(max_size=300))
def test_every_row_has_unit_length_or_none(text):
    (row,) = EMBEDDER.embed([text])
    assert np.linalg.norm(row) == pytest.approx(1, abs=1e-5) or not row.any()


@given(st.lists(st.text(max_size=50), min_size=1, max_size=5))
def test_a_text_has_the_same_vector_in_any_company(texts):
    alone = np.concatenate([EMBEDDER.embed([text]) for text in texts])
    np.testing.assert_allclose(EMBEDDER.embed(texts), alone, atol=1e-6)


def test_no_text_has_no_rows():
    assert EMBEDDER.embed([]).shape == (0, EMBEDDER.dimensions)


def test_shared_words_bring_texts_near():
    near = cosine("the disk of the server is full", "the server's disk was full")
    assert near > 0.4 > EMBEDDER.unrelated > cosine("the disk is full", "green apples ripen")


def test_forms_of_a_word_are_near_each_other():
    assert cosine("connection failed", "connections failing") > EMBEDDER.unrelated
    assert cosine("kubernetes", "kuberentes") > EMBEDDER.unrelated


def test_case_and_compatibility_forms_are_folded():
    assert cosine("STRASSE ﬁle", "straße FILE") == pytest.approx(1, abs=1e-5)


def test_unrelated_words_stay_below_the_mark():
    words = [f"{chr(97 + number % 26) * 3}{number * 7919}" for number in range(200)]
    rows = EMBEDDER.embed(words)
    cosines = (rows @ rows.T)[np.triu_indices(len(words), 1)]
    assert abs(cosines.mean()) < 0.02
    assert (cosines > EMBEDDER.unrelated).mean() < 0.02


def test_vectors_are_the_same_in_every_process():
    code = """
from toka.store.semantic import HashingEmbedder
print(HashingEmbedder().embed(["the same everywhere"]).tobytes().hex())"""
    runs = [
        subprocess.run(  # noqa: S603 - our own interpreter
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    ]
    assert runs == [EMBEDDER.embed(["the same everywhere"]).tobytes().hex()] * 2


def test_dimensions_are_part_of_the_name():
    assert HashingEmbedder(64).name != EMBEDDER.name
    assert HashingEmbedder(64).embed(["text"]).shape == (1, 64)


def test_too_few_dimensions_are_refused():
    with pytest.raises(ValueError, match="dimensions"):
        HashingEmbedder(2)
