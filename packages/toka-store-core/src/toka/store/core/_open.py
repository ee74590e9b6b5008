"""Opening a store by its address.

A backend is a class with a class method `open` (see `Backend`) behind an entry point of the group
`toka.stores`; the entry point's name is the scheme. Nothing is imported but the backend asked for.
"""

from __future__ import annotations

import functools
import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, cast

from toka.store.core._errors import UnknownScheme, Unsupported

if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.metadata import EntryPoint

    from toka.store.core._event import Head
    from toka.store.core._protocol import EventStore

GROUP: Final = "toka.stores"


class Backend(Protocol):
    """What an entry point of the group `toka.stores` names."""

    async def open(
        self, location: str, *, read_only: bool = False, create: bool = True
    ) -> EventStore:
        """Open a store; `location` is what follows the scheme and its colon."""
        ...


class RepairReport(Protocol):
    """What a repair found, and what the store holds now."""

    @property
    def kept(self) -> str:
        """Return where the damaged store is now, untouched."""
        ...

    @property
    def head(self) -> Head:
        """Return where the repaired log ends; it holds every event up to there."""
        ...

    @property
    def lost(self) -> tuple[tuple[int, int], ...]:
        """Return the first and the last of the positions that are known to be gone."""
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
    entry, location = _find(url)
    backend = cast("Backend", entry.load())
    return await backend.open(location, read_only=read_only, create=create)


def repair_store(url: str) -> RepairReport:
    """Replace a damaged store by what can be proved of it, and say what cannot.

    A backend that can do it has a function `repair` beside its class, which takes the path.

    Args:
        url: As for `open_store`; the store must not be open.

    Raises:
        UnknownScheme: No installed distribution serves the scheme.
        Unsupported: The backend has no repair.
        OpenRefused: There is no store, it is open, or the damaged one cannot be kept.
        Damaged: Nothing can be proved.
        StoreFailed: Input or output failed; the store is as it was.
    """
    entry, location = _find(url)
    found = getattr(importlib.import_module(entry.module), "repair", None)
    if found is None:
        raise Unsupported(
            f"Stores of the scheme {entry.name!r} have no repair.",
            hint="Restore a backup.",
            details={"scheme": entry.name},
        )
    repair = cast("Callable[[Path], RepairReport]", found)
    return repair(Path(location.partition("?")[0]))


def _find(url: str) -> tuple[EntryPoint, str]:
    scheme, colon, location = url.partition(":")
    if not colon:
        raise _unknown(url)
    return _entry(scheme), location


@functools.cache
def _entry(scheme: str) -> EntryPoint:
    """Return the entry point of a scheme. Looking for it reads files of all distributions."""
    from importlib.metadata import entry_points  # noqa: PLC0415 - 20 ms, only where one is opened

    found = tuple(entry_points(group=GROUP, name=scheme))
    if not found:
        raise _unknown(f"{scheme}:")
    return found[0]


def _unknown(url: str) -> UnknownScheme:
    from importlib.metadata import entry_points  # noqa: PLC0415 - as above

    return UnknownScheme(url, sorted({each.name for each in entry_points(group=GROUP)}))
