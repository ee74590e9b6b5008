"""Where a reading thread reads: the engine that this process has open, or a copy of another's."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from toka.store.core import Damaged
from toka.store.sled._engine import EngineError
from toka.store.sled._reader import Reader

if TYPE_CHECKING:
    from collections.abc import Callable

    from toka.store.sled._engine import Engine, View
    from toka.store.sled._replica import Replica

T = TypeVar("T")


class OwnEngine:
    """The engine of a store that is open for writing, which others close."""

    def __init__(self, engine: Engine, location: str) -> None:
        self._engine = engine
        self._location = location

    def answer(self, ask: Callable[[Reader], T]) -> T:
        view = self._engine.view()
        try:
            return ask(Reader(view, self._location))
        finally:
            view.close()

    def close(self) -> None:
        pass


class OtherEngine:
    """A replica of a store that others may have open for writing."""

    def __init__(self, replica: Replica, location: str) -> None:
        self._replica = replica
        self._location = location

    def answer(self, ask: Callable[[Reader], T]) -> T:
        while True:
            view = self._replica.view()
            try:
                return ask(Reader(view, self._location))
            except (EngineError, Damaged):
                # A file that the copy links to may be merged into another by now.
                if not self._replica.changed():
                    raise
            finally:
                view.close()
            self._replica.forget()

    def close(self) -> None:
        self._replica.close()


class Held:
    """One view for a whole piece of work, however long it takes."""

    def __init__(self, view: View, location: str, release: Callable[[], None]) -> None:
        self._view = view
        self._location = location
        self._release = release

    def answer(self, ask: Callable[[Reader], T]) -> T:
        return ask(Reader(self._view, self._location))

    def close(self) -> None:
        self._view.close()
        self._release()
