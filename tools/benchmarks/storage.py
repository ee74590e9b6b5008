"""Event stores: appending, scanning, and what an event costs before a store sees it.

Each backend has a module of its own here, `_storage_NAME.py` with a function `measures()`, which is
joined on below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import _storage_core, _storage_sled, _storage_sqlite

if TYPE_CHECKING:
    from workshop.measure import Measure


def measures() -> list[Measure]:
    """Return what is measured of each backend, after what they share."""
    return [*_storage_core.measures(), *_storage_sqlite.measures(), *_storage_sled.measures()]
