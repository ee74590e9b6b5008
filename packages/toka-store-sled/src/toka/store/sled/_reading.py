"""The thread that reads: questions from the loop, each a function of a `Reader`."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

import attrs

from toka.store.core import Damaged, StoreClosed
from toka.store.sled._engine import EngineError
from toka.store.sled._failures import TROUBLE, failure
from toka.store.sled._reader import Reader
from toka.store.sled._worker import Answer, Worker, call_soon, settle

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from toka.store.sled._engine import Engine, View
    from toka.store.sled._replica import Replica

T = TypeVar("T")

_BATCH: Final = 16
"""Questions that are answered together: the first waits for the last."""


@attrs.define(eq=False)
class Question(Generic[T]):
    """What to ask, and who waits for it."""

    ask: Callable[[Reader], T]
    future: asyncio.Future[T]


class Source(Protocol):
    """Where a reading thread reads."""

    def answer(self, ask: Callable[[Reader], T]) -> T:
        """Ask a reader of the contents as they are now; raises what `ask` raises."""
        ...

    def close(self) -> None:
        """Release what the source holds."""
        ...


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


class ReadHandler:
    """Answers the questions of one event loop from one source."""

    def __init__(self, source: Source, location: str, loop: asyncio.AbstractEventLoop) -> None:
        self._source = source
        self._location = location
        self._loop = loop

    def handle(self, items: list[Question[object]]) -> None:
        """Answer each question, with one wake-up of the loop for all."""
        answers: list[Answer[object]] = []
        for question in items:
            try:
                answers.append((question.future, self._source.answer(question.ask), None))
            except TROUBLE as error:
                answers.append((question.future, None, failure(self._location, "Reading", error)))
            except Exception as error:  # noqa: BLE001 - raised again where the answer is awaited
                answers.append((question.future, None, error))
        call_soon(self._loop, settle, answers)

    def close(self) -> None:
        """Close the source."""
        self._source.close()


class Readings:
    """The loop's side of a reading thread."""

    def __init__(self, open_source: Callable[[], Source], location: str, name: str) -> None:
        loop = self._loop = asyncio.get_running_loop()
        self._location = location
        self._closed = False
        self._worker: Worker[Question[object]] = Worker(
            name, lambda: ReadHandler(open_source(), location, loop), _BATCH
        )

    async def start(self) -> None:
        """Start the thread; raises what opening the source raises."""
        await self._worker.start()

    async def ask(self, ask: Callable[[Reader], T]) -> T:
        """Have a question answered by the thread; raises what it raises.

        Raises:
            StoreClosed: The thread was ended.
        """
        if self._closed:
            raise StoreClosed(self._location)
        future: asyncio.Future[T] = self._loop.create_future()
        self._worker.put(Question(ask, future))  # type: ignore[arg-type]  # T is known to `future`
        return await future

    async def close(self) -> None:
        """Answer what was asked, then end the thread."""
        self._closed = True
        await self._worker.close()


@asynccontextmanager
async def reading(
    open_source: Callable[[], Source], location: str, name: str
) -> AsyncGenerator[Readings, None]:
    """Provide a reading thread for one long piece of work, so that others need not wait for it."""
    readings = Readings(open_source, location, name)
    await readings.start()
    try:
        yield readings
    finally:
        await readings.close()
