"""Where the tests find their stores."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from toka.store.core import EventStore


class Opener(Protocol):
    """Opens the store of one place; a durable one finds there what it kept before."""

    async def __call__(self, *, read_only: bool = False, create: bool = True) -> EventStore:
        """Open the store."""
        ...


NewPlace: TypeAlias = Callable[[], Opener]
"""Returns the opener of a place where there is no store yet."""
