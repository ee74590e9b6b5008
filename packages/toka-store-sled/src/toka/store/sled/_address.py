"""What an address says: the folder, the engine, and when an append is acknowledged."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from toka.store.core import OpenRefused, split_location
from toka.store.sled._engine import MODULES
from toka.store.sled._folder import Folder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toka.store.sled._engine import EngineName
    from toka.store.sled._opening import Synchronous

_MODES: Final[Mapping[str, Synchronous]] = {"full": "full", "normal": "normal"}

_ENGINES: Final[Mapping[str, EngineName]] = {name: name for name in MODULES}


def parse(location: str) -> tuple[Folder, EngineName | None, Synchronous]:
    """Return what a location says.

    Raises:
        OpenRefused: It makes no sense.
    """
    place, options = split_location(location, ("engine", "synchronous"))
    synchronous = _MODES.get(options.get("synchronous", "full"))
    engine = _ENGINES.get(options.get("engine", ""))
    if not place or synchronous is None or (engine is None and "engine" in options):
        raise OpenRefused(
            f"The address {location!r} has no path, a mode that is not full or normal, or an engine"
            " that is not leveldb or rocksdb.",
            code="store.invalid_location",
            hint="As in sled:runs, sled:runs?engine=rocksdb or sled:runs?synchronous=normal.",
            details={"location": location},
        )
    return Folder(Path(place)), engine, synchronous
