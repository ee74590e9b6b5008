"""The forward pass of a BERT encoder in NumPy (Devlin and others, 2019; arXiv 1810.04805).

It does what PyTorch does, in single precision, for models of this one architecture: absolute
positions, GELU, post-layer normalisation. The sentence vector is the mean over the tokens of the
last layer, as in Reimers and Gurevych, "Sentence-BERT" (2019), scaled to unit length.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs
import numpy as np

from toka.store.semantic._embedder import unit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from toka.store.semantic._embedder import Vectors

_EPSILON: Final = np.float32(1e-12)
_MASKED: Final = np.float32(-1e9)


@attrs.frozen
class _Dense:
    weight: Vectors
    """Transposed once, at loading: rows are inputs."""
    bias: Vectors

    def __call__(self, states: Vectors) -> Vectors:
        result: Vectors = states @ self.weight
        result += self.bias
        return result


@attrs.frozen
class _Normalisation:
    weight: Vectors
    bias: Vectors

    def __call__(self, states: Vectors) -> Vectors:
        states = states - states.mean(axis=-1, keepdims=True)
        variance = np.einsum("...i,...i->...", states, states)[..., None] / states.shape[-1]
        states /= np.sqrt(variance + _EPSILON)
        states *= self.weight
        states += self.bias
        return states


@attrs.frozen
class _Layer:
    projections: _Dense
    """Query, key and value side by side, so that one product computes all three."""
    attended: _Dense
    attention_norm: _Normalisation
    inner: _Dense
    outer: _Dense
    output_norm: _Normalisation
    heads: int

    def __call__(self, states: Vectors, mask: Vectors) -> Vectors:
        states = self.attention_norm(states + self.attended(self._attend(states, mask)))
        return self.output_norm(states + self.outer(_gelu(self.inner(states))))

    def _attend(self, states: Vectors, mask: Vectors) -> Vectors:
        batch, length, width = states.shape
        split = self.projections(states).reshape(batch, length, 3, self.heads, -1)
        query, key, value = split.transpose(2, 0, 3, 1, 4)
        scores: Vectors = query @ key.swapaxes(-1, -2)
        scores *= np.float32((width // self.heads) ** -0.5)
        scores += mask
        scores -= scores.max(axis=-1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=-1, keepdims=True)
        mixed: Vectors = scores @ value
        return mixed.transpose(0, 2, 1, 3).reshape(batch, length, width)


@attrs.frozen
class BertEncoder:
    """Token identifiers in, one vector a text out."""

    words: Vectors
    positions: Vectors
    """Those of the one token type added, because a single text has no other."""
    norm: _Normalisation
    layers: tuple[_Layer, ...]

    @classmethod
    def of(cls, tensors: Mapping[str, Vectors], heads: int) -> BertEncoder:
        """Arrange tensors that have the names of Hugging Face's `BertModel`.

        Raises:
            KeyError: One is missing.
        """
        types = tensors["embeddings.token_type_embeddings.weight"]
        layers: list[_Layer] = []
        while f"encoder.layer.{len(layers)}.output.dense.weight" in tensors:
            layers.append(_layer(tensors, f"encoder.layer.{len(layers)}.", heads))
        return cls(
            tensors["embeddings.word_embeddings.weight"],
            tensors["embeddings.position_embeddings.weight"] + types[0],
            _norm(tensors, "embeddings.LayerNorm"),
            tuple(layers),
        )

    def encode(self, tokens: NDArray[np.int64], mask: NDArray[np.bool_]) -> Vectors:
        """Return a row of unit length for each row of tokens.

        Args:
            tokens: Padded to one length.
            mask: False where a token is padding.
        """
        states = self.norm(self.words[tokens] + self.positions[: tokens.shape[1]])
        hidden = np.where(mask, np.float32(0), _MASKED)[:, None, None, :]
        for layer in self.layers:
            states = layer(states, hidden)
        shares = mask / mask.sum(axis=1, keepdims=True)
        return unit(np.einsum("bld,bl->bd", states, shares.astype(np.float32)))


def _layer(tensors: Mapping[str, Vectors], prefix: str, heads: int) -> _Layer:
    names = [f"{prefix}attention.self.{part}" for part in ("query", "key", "value")]
    projections = _Dense(
        np.concatenate([tensors[f"{name}.weight"] for name in names]).T.copy(),
        np.concatenate([tensors[f"{name}.bias"] for name in names]),
    )
    return _Layer(
        projections,
        _dense(tensors, f"{prefix}attention.output.dense"),
        _norm(tensors, f"{prefix}attention.output.LayerNorm"),
        _dense(tensors, f"{prefix}intermediate.dense"),
        _dense(tensors, f"{prefix}output.dense"),
        _norm(tensors, f"{prefix}output.LayerNorm"),
        heads,
    )


def _dense(tensors: Mapping[str, Vectors], name: str) -> _Dense:
    return _Dense(tensors[f"{name}.weight"].T.copy(), tensors[f"{name}.bias"])


def _norm(tensors: Mapping[str, Vectors], name: str) -> _Normalisation:
    return _Normalisation(tensors[f"{name}.weight"], tensors[f"{name}.bias"])


def _gelu(values: Vectors) -> Vectors:
    """Return x times the normal distribution at x, in place where that saves a matrix.

    The error function is Abramowitz and Stegun's formula 7.1.26, off by at most 1.5e-7, because
    NumPy has none.
    """
    scaled = np.abs(values)
    scaled *= np.float32(0.5**0.5)
    t = np.float32(1) / (np.float32(1) + np.float32(0.3275911) * scaled)
    series = np.float32(1.061405429) * t
    for coefficient in (-1.453152027, 1.421413741, -0.284496736, 0.254829592):
        series += np.float32(coefficient)
        series *= t
    np.square(scaled, out=scaled)
    np.negative(scaled, out=scaled)
    np.exp(scaled, out=scaled)
    series *= scaled  # 1 - erf(|x| / sqrt 2)
    half: Vectors = np.copysign(np.float32(0.5) * (np.float32(1) - series), values)
    half += np.float32(0.5)
    half *= values
    return half
