"""Opening a store by its address.

A backend is a class with a class method `open` (see `Backend`) behind an entry point of the group
`toka.stores`; the entry point's name is the scheme. Nothing is imported but the backend asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, cast

from toka.store.core._errors import UnknownScheme

if TYPE_CHECKING:
    from toka.store.core._protocol import EventStore

GROUP: Final = "toka.stores"


class Backend(Protocol):
    """What an entry point of the group `toka.stores` names."""

    async def open(
        self, location: str, *, read_only: bool = False, create: bool = True
    ) -> EventStore:
        """Open a store; `location` is what follows the scheme and its colon."""
        ...


async def open_store(url: str, *, read_only: bool = False, create: bool = True) -> EventStore:
    """Open the store at `url`.

    Args:
        url: As in `memory:` or `sqlite:run.db`.
        read_only: Change nothing; works while another process writes.
        create: Make the store if there is none.

    Raises:
        UnknownScheme: No installed distribution serves the scheme.
        OpenRefused: The backend refuses; its subclasses say why.
        Damaged: What is stored is not what was written.
        StoreFailed: Input or output failed.
    """
    from importlib.metadata import entry_points  # noqa: PLC0415 - 20 ms, only where one is opened

    scheme, colon, location = url.partition(":")
    found = tuple(entry_points(group=GROUP, name=scheme)) if colon else ()
    if not found:
        raise UnknownScheme(url, sorted({each.name for each in entry_points(group=GROUP)}))
    backend = cast("Backend", found[0].load())
    return await backend.open(location, read_only=read_only, create=create)
