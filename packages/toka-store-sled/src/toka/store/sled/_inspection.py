"""What is asked of an engine's contents before they are used: a chain that reaches its record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from toka.store.core import EMPTY, Damaged
from toka.store.sled._reader import Reader

if TYPE_CHECKING:
    from toka.store.core import Head
    from toka.store.core.backend import Recorded
    from toka.store.sled._engine import Engine

TAIL: Final = 256
"""Events that are read at open, digests, links and all."""

_KEEP: Final = (
    "Nothing was written; keep the files. Restore a backup, or run `python -m toka.store.sled"
    " repair` on the folder: it keeps a copy and says what is missing."
)


def inspect(engine: Engine, location: str, recorded: Recorded | None) -> Head:
    """Check an engine's contents before they are used, changing nothing; return the head.

    Raises:
        Damaged: Something is not as it was written, or acknowledged events are missing.
        EngineError: The engine cannot be read.
    """
    view = engine.view()
    try:
        reader = Reader(view, location)
        head = reader.head()
        check_recorded(reader, location, head, recorded)
        for _ in reader.chain(max(0, head.position - TAIL)):
            pass
        return head
    finally:
        view.close()


def check_recorded(reader: Reader, location: str, head: Head, recorded: Recorded | None) -> None:
    """Compare the engine's contents with the head that was recorded beside them.

    Raises:
        Damaged: They do not reach it, or have another event there, or none is recorded.
        EngineError: The engine cannot be read.
    """
    if recorded is None:
        if head != EMPTY:
            raise Damaged(location, "its head file is missing or unreadable", hint=_KEEP)
        return
    wanted = recorded.head
    if wanted.position > head.position:
        what = f"the acknowledged events {head.position + 1} to {wanted.position} are missing"
        raise Damaged(location, what, hint=_KEEP)
    if reader.digest_at(wanted.position) != wanted.digest:
        what = "the event is not the one that was acknowledged"
        raise Damaged(location, what, position=wanted.position, hint=_KEEP)
