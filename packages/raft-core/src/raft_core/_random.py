"""Numbers that look random and are the same for the same seed, on every version of Python."""

from __future__ import annotations

from typing import Final

import attrs

_MASK: Final = 2**64 - 1


@attrs.define
class SplitMix:
    """The SplitMix64 generator (Steele, Lea and Flood, OOPSLA 2014)."""

    state: int

    def below(self, bound: int) -> int:
        """Return a number from 0 to `bound - 1`."""
        self.state = (self.state + 0x9E3779B97F4A7C15) & _MASK
        mixed = self.state
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
        return (mixed ^ (mixed >> 31)) % bound
