"""How long the worker may take."""

from __future__ import annotations

import time


class Deadline:
    """A moment after which work must stop."""

    __slots__ = ("at",)

    def __init__(self, timeout_ns: int) -> None:
        self.at = time.monotonic_ns() + timeout_ns

    @property
    def left_seconds(self) -> float:
        """Seconds that are left."""
        return max(0.0, (self.at - time.monotonic_ns()) / 1e9)

    @property
    def passed(self) -> bool:
        """Whether the time is up."""
        return time.monotonic_ns() > self.at

    def end(self) -> None:
        """Let the time be up now."""
        self.at = 0
