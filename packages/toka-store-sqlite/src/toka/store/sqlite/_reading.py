"""The thread that reads: questions from the loop, each a function of a `Reader`."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import attrs

from toka.store.core import StoreClosed
from toka.store.sqlite._failures import TROUBLE, failure
from toka.store.sqlite._files import Files, connect_to_read
from toka.store.sqlite._reader import Reader
from toka.store.sqlite._worker import Answer, Worker, call_soon, settle

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

T = TypeVar("T")

_BATCH: Final = 16
"""Questions that are answered together: the first waits for the last."""


@attrs.define(eq=False)
class Question(Generic[T]):
    """What to ask, and who waits for it."""

    ask: Callable[[Reader], T]
    future: asyncio.Future[T]


class Source:
    """A connection for reading, kept fresh; belongs to one thread.

    A connection that takes its file to be immutable sees no change, and must not go on when there
    is one. So what tells of changes is looked at before an answer is worked out and again after it.
    """

    def __init__(self, files: Files) -> None:
        self._files = files
        self._open()

    def _open(self) -> None:
        self._seen = self._state()
        self._connection, self._immutable = connect_to_read(self._files)
        self._reader = Reader(self._connection, self._files.location)

    def _state(self) -> tuple[int, int, int, int]:
        database = self._files.database.stat()
        try:
            wal = self._files.wal.stat().st_size
        except FileNotFoundError:
            wal = 0
        return database.st_ino, database.st_size, database.st_mtime_ns, wal

    def answer(self, ask: Callable[[Reader], T]) -> T:
        """Ask the reader; raises what `ask` raises."""
        while True:
            if self._immutable and self._seen != self._state():
                self._connection.close()
                self._open()
            try:
                result = ask(self._reader)
            except Exception:
                if self._immutable and self._seen != self._state():
                    continue  # the file changed under the question
                raise
            if not self._immutable or self._seen == self._state():
                return result

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class ReadHandler:
    """Answers the questions of one event loop from one source."""

    def __init__(self, files: Files, loop: asyncio.AbstractEventLoop) -> None:
        self._location = files.location
        self._loop = loop
        self._source = Source(files)

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

    def __init__(self, files: Files, name: str) -> None:
        loop = self._loop = asyncio.get_running_loop()
        self._location = files.location
        self._closed = False
        self._worker: Worker[Question[object]] = Worker(
            name, lambda: ReadHandler(files, loop), _BATCH
        )

    async def start(self) -> None:
        """Start the thread; raises what opening the connection raises."""
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
async def reading(files: Files, name: str) -> AsyncGenerator[Readings, None]:
    """Provide a reading thread for one long piece of work, so that others need not wait for it."""
    readings = Readings(files, name)
    await readings.start()
    try:
        yield readings
    finally:
        await readings.close()
