"""Vectors from words and their parts, without a model.

Feature hashing (Weinberger and others, "Feature Hashing for Large Scale Multitask Learning", 2009):
each feature adds to one of the vector's buckets, with a sign. Both come from a hash, so that where
two features share a bucket they cancel as often as they add, and the cosine of two texts stays an
unbiased estimate of how many features they share.

The features of a text are its words (weight 1), pairs of neighbouring words (0.5), and the three
to five neighbouring letters within a word (together as much as the word), which bring `fail`,
`failed` and `failure` near each other and forgive a mistyped letter. A feature that occurs
n times counts 1 + ln n: a word said ten times is not ten times as telling. Text is folded to lower
case and compatibility form (NFKC), so any script works; nothing is known of any language, so words
that only mean the same stay apart. For those there is `MiniLmEmbedder`.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from functools import lru_cache
from hashlib import blake2b
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import attrs
import numpy as np

from toka.store.semantic._embedder import unit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toka.store.semantic._embedder import Vectors

_WORD: Final = re.compile(r"\w+")
_PAIR_WEIGHT: Final = 0.5
_PARTS_WEIGHT: Final = 1.0
_PARTS: Final = (3, 4, 5)
_MAX_WORD: Final = 40
"""Letters of a word that are looked at; what is longer is data."""
_MAX_WORDS: Final = 1_000


@attrs.frozen
class HashingEmbedder:
    """Hashes words, pairs and parts of words into signed buckets; the default."""

    dimensions: int = attrs.field(default=384, validator=attrs.validators.ge(8))

    @property
    def name(self) -> str:
        return f"hashing-1/{self.dimensions}"

    @property
    def unrelated(self) -> float:
        """Return three standard deviations of the cosine of two random vectors."""
        return 3 / math.sqrt(self.dimensions)

    def embed(self, texts: Sequence[str]) -> Vectors:
        rows = np.zeros((len(texts), self.dimensions), np.float32)
        for row, text in zip(rows, texts, strict=True):
            self._add(row, text)
        return unit(rows)

    def _add(self, row: Vectors, text: str) -> None:
        words = [word[:_MAX_WORD] for word in _words(text)]
        for word, count in Counter(words).items():
            buckets, weights = _word_features(word, self.dimensions)
            np.add.at(row, buckets, weights * np.float32(1 + math.log(count)))
        for (first, second), count in Counter(pairwise(words)).items():
            bucket, sign = _bucket(f"{first} {second}", self.dimensions)
            row[bucket] += sign * _PAIR_WEIGHT * (1 + math.log(count))


def _words(text: str) -> list[str]:
    folded = unicodedata.normalize("NFKC", text).casefold().replace("_", " ")
    return _WORD.findall(folded)[:_MAX_WORDS]


@lru_cache(maxsize=20_000)
def _word_features(
    word: str, dimensions: int
) -> tuple[np.ndarray[tuple[int], np.dtype[np.intp]], Vectors]:
    """Return buckets and weights of a word and its parts; most words of a log come again."""
    framed = f"<{word}>"
    parts = [framed[at : at + size] for size in _PARTS for at in range(len(framed) - size + 1)]
    share = _PARTS_WEIGHT / math.sqrt(len(parts)) if parts else 0.0
    weighted = [(_bucket(word, dimensions), 1.0)]
    weighted += [(_bucket(f"#{part}", dimensions), share) for part in parts]
    buckets = np.array([bucket for (bucket, _), _ in weighted], np.intp)
    return buckets, np.array([sign * weight for (_, sign), weight in weighted], np.float32)


@lru_cache(maxsize=100_000)
def _bucket(feature: str, dimensions: int) -> tuple[int, int]:
    digest = int.from_bytes(blake2b(feature.encode(), digest_size=8).digest(), "little")
    return (digest >> 1) % dimensions, 1 if digest & 1 else -1
