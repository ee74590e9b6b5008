"""Draws from a seed: the same on every machine, every version of Python and every hash seed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from raft_core._random import SplitMix

if TYPE_CHECKING:
    from collections.abc import Sequence

    T = TypeVar("T")

_MASK: Final = 2**64 - 1
# Knuth's MMIX constants. Only the upper half of the state is used: the lower bits of a linear
# congruential generator repeat early. SplitMix, which the core uses, is three times as slow.
_MULTIPLIER: Final = 6364136223846793005
_INCREMENT: Final = 1442695040888963407


class Dice:
    """One stream of draws; streams of one seed know nothing of each other."""

    __slots__ = ("_state",)

    def __init__(self, seed: int, stream: int = 0) -> None:
        self._state = SplitMix(seed * 0x9E3779B97F4A7C15 + stream).below(2**64)

    def below(self, bound: int) -> int:
        """Return a number from 0 to `bound - 1`."""
        state = self._state = (self._state * _MULTIPLIER + _INCREMENT) & _MASK
        return (state >> 32) * bound >> 32

    def chance(self, per_mille: int) -> bool:
        """Say yes so often; 0 draws nothing."""
        return per_mille > 0 and self.below(1000) < per_mille

    def pick(self, options: Sequence[T]) -> T:
        """Return one of some options."""
        return options[self.below(len(options))]
