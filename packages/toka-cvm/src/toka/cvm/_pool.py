"""Guests that are made before they are needed."""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from toka.cvm._guest import Guest


class GuestPool:
    """Lends each guest once: what one caller leaves in memory, no other ever sees.

    Args:
        make: Makes a guest, usually by `Machine.instantiate`.
        size: How many are kept ready.
    """

    def __init__(self, make: Callable[[], Guest], size: int = 4) -> None:
        self._make = make
        self._size = size
        self._ready: deque[Guest] = deque()
        self._closed = False
        self.fill()

    @property
    def ready(self) -> int:
        """How many wait."""
        return len(self._ready)

    def fill(self) -> None:
        """Make guests until the pool is full."""
        while len(self._ready) < self._size and not self._closed:
            self._ready.append(self._make())

    @contextmanager
    def guest(self) -> Generator[Guest]:
        """Lend a fresh guest, and close it afterwards; another takes its place then."""
        try:
            guest = self._ready.popleft()
        except IndexError:
            guest = self._make()
        try:
            yield guest
        finally:
            guest.close()
            self.fill()

    def close(self) -> None:
        """Close those that wait. Those that are lent are closed when they come back."""
        self._closed = True
        while self._ready:
            self._ready.popleft().close()
