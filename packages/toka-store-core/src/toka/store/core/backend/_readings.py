"""A thread that reads: questions from the loop, each a function of the backend's reader."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeAlias, TypeVar, cast

import attrs

from toka.store.core._errors import StoreClosed
from toka.store.core.backend._worker import Worker, call_soon, settle

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from toka.store.core._errors import StoreError
    from toka.store.core.backend._worker import Answer

T = TypeVar("T")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

_BATCH: Final = 16
"""Questions that are answered together: the first waits for the last."""

Translate: TypeAlias = "Callable[[str, Exception], StoreError | None]"
"""Given what failed, as the subject of a sentence, and an error: the one to raise in its place, or
None where it is none of the engine's."""


@attrs.define(eq=False)
class Question(Generic[R]):
    """What to ask, and who waits for it."""

    ask: Callable[[R], object]
    future: asyncio.Future[object]


class Source(Protocol[R_co]):
    """Where a reading thread reads; made, used and closed in the thread."""

    def answer(self, ask: Callable[[R_co], T]) -> T:
        """Ask a reader of the contents as they are now; raises what `ask` raises."""
        ...

    def close(self) -> None:
        """Release what the source holds."""
        ...


class _Handler(Generic[R]):
    """Answers the questions of one event loop from one source."""

    def __init__(
        self, source: Source[R], translate: Translate, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._source = source
        self._translate = translate
        self._loop = loop

    def handle(self, items: list[Question[R]]) -> None:
        """Answer each question, with one wake-up of the loop for all."""
        answers: list[Answer[object]] = []
        for question in items:
            try:
                answers.append((question.future, self._source.answer(question.ask), None))
            except Exception as error:  # noqa: BLE001 - raised again where the answer is awaited
                known = self._translate("Reading", error)
                answers.append((question.future, None, known or error))
        call_soon(self._loop, settle, answers)

    def close(self) -> None:
        """Close the source."""
        self._source.close()


class Readings(Generic[R]):
    """The loop's side of a reading thread; as a context, it starts and ends the thread."""

    def __init__(
        self, name: str, location: str, open_source: Callable[[], Source[R]], translate: Translate
    ) -> None:
        """Prepare a thread.

        Args:
            name: Of the thread.
            location: Of the store, for errors.
            open_source: Called in the thread.
            translate: What becomes of the engine's errors.
        """
        loop = self._loop = asyncio.get_running_loop()
        self._location = location
        self._translate = translate
        self._closed = False
        self._worker: Worker[Question[R]] = Worker(
            name, lambda: _Handler(open_source(), translate, loop), _BATCH
        )

    async def start(self) -> None:
        """Start the thread; raises what opening the source raises, translated."""
        try:
            await self._worker.start()
        except Exception as error:
            known = self._translate("Reading", error)
            if known is None:
                raise
            raise known from error

    async def ask(self, ask: Callable[[R], T]) -> T:
        """Have a question answered by the thread; raises what it raises.

        Raises:
            StoreClosed: The thread was ended.
        """
        if self._closed:
            raise StoreClosed(self._location)
        future: asyncio.Future[object] = self._loop.create_future()
        self._worker.put(Question(ask, future))
        return cast("T", await future)

    async def close(self) -> None:
        """Answer what was asked, then end the thread."""
        self._closed = True
        await self._worker.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()
