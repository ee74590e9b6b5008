"""What a store of a ring is: it changes the whole ring at once, one changer at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from toka.key_rotation._state import RingState


class KeyStore(Protocol):
    """Keeps one ring, for any number of processes."""

    def create(self, state: RingState) -> bool:
        """Keep a new ring, and say whether there was none before; an old one stays.

        Raises:
            KeyStoreError: The store cannot be used.
        """
        ...

    def load(self) -> RingState:
        """Return the ring.

        Raises:
            KeyStoreMissing: There is none.
            KeyStoreError: The store cannot be used.
        """
        ...

    def update(self, change: Callable[[RingState], RingState]) -> RingState:
        """Replace the ring by what `change` makes of it, with nobody in between.

        The old ring or the new one is there after a crash at any moment, and whatever `change`
        raises leaves the old one. Nothing is written if `change` returns what it was given.

        Raises:
            KeyStoreMissing: There is none.
            KeyStoreError: The store cannot be used.
        """
        ...

    def mark(self) -> object:
        """Return something cheap that differs after every change.

        Raises:
            KeyStoreError: The store cannot be used.
        """
        ...
