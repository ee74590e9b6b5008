"""Appends sent to a follower and not yet acknowledged."""

from __future__ import annotations

from collections import deque

import attrs


def _no_sizes() -> deque[tuple[int, int]]:
    return deque()


@attrs.define
class Inflights:
    """A window over the appends under way, bounded by their number and by their bytes.

    The bound on bytes is soft: the append that crosses it still goes out, the next one does not.
    Invariant: indexes only grow, from the oldest to the newest.
    """

    max_messages: int
    max_bytes: int
    total_bytes: int = 0
    _window: deque[tuple[int, int]] = attrs.field(factory=_no_sizes, init=False)

    @property
    def count(self) -> int:
        """Return how many appends are under way."""
        return len(self._window)

    @property
    def is_full(self) -> bool:
        """Say whether another append with entries must wait."""
        return len(self._window) >= self.max_messages or self.total_bytes >= self.max_bytes

    def add(self, last_index: int, size: int) -> None:
        """Note an append on its way, by its last entry's index and its size."""
        self._window.append((last_index, size))
        self.total_bytes += size

    def free_up_to(self, index: int) -> None:
        """Forget the appends that end at or below an acknowledged index."""
        window = self._window
        while window and window[0][0] <= index:
            self.total_bytes -= window.popleft()[1]

    def clone(self) -> Inflights:
        """Return a copy that shares nothing."""
        copy = Inflights(self.max_messages, self.max_bytes, self.total_bytes)
        copy._window.extend(self._window)
        return copy

    def clear(self) -> None:
        """Forget all appends."""
        self._window.clear()
        self.total_bytes = 0
