"""What an engine and the system report, in the terms of a store."""

from __future__ import annotations

from typing import Final

from toka.store.core import Damaged, StoreError, StoreFailed
from toka.store.sled._engine import EngineDamaged, EngineError

TROUBLE: Final = (EngineError, OSError)
"""What is raised where an engine or its disk fails."""


def failure(location: str, doing: str, error: EngineError | OSError) -> StoreError:
    """Return the error to raise for one of an engine's or the system's.

    Args:
        location: Of the store.
        doing: What failed, as the subject of a sentence.
        error: The cause.
    """
    if isinstance(error, EngineDamaged):
        return Damaged(
            location,
            f"{doing} found: {error}",
            hint="Keep the files. Restore a backup, or run `python -m toka.store.sled repair` on"
            " the folder: it keeps a copy and says what is missing.",
        )
    return StoreFailed(
        f"{doing} failed on {location}: {error}.",
        hint="Open the store again when the cause is removed.",
        details={"location": location, "cause": str(error)},
    )


def translate(location: str, doing: str, error: Exception) -> StoreError | None:
    """Return what `failure` makes of an error; None for one that is no trouble of the engine's."""
    return failure(location, doing, error) if isinstance(error, TROUBLE) else None
