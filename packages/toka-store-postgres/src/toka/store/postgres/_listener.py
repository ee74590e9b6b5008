"""Hearing of commits, also those of other processes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Final

from toka.store.postgres._connection import TROUBLE, connect, end

if TYPE_CHECKING:
    from collections.abc import Callable

    from toka.store.postgres._address import Address
    from toka.store.postgres._connection import Connection

_PAUSE: Final = 0.2

logger = logging.getLogger(__name__)


class Listener:
    """Keeps a connection that listens, and wakes whoever waits for news.

    What is announced while there is no connection is not heard; so everybody is woken when there is
    one again, and looks.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._news: asyncio.Event | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the task."""
        self._task = asyncio.create_task(self._run(), name="toka-postgres-listener")

    def promise(self) -> asyncio.Event:
        """Return what will be set at the next commit; ask before looking at the log."""
        if self._news is None:
            self._news = asyncio.Event()
        return self._news

    def wake(self, *_: object) -> None:
        """Let all who wait look again."""
        if self._news is not None:
            self._news.set()
            self._news = None

    async def close(self) -> None:
        """End the task and the connection."""
        self.wake()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            try:
                connection = await connect(self._address, name="toka listener")
                await self._listen(connection)
            except TROUBLE as error:
                logger.info("Listening to %s again after: %s", self._address.location, error)
            await asyncio.sleep(_PAUSE)

    async def _listen(self, connection: Connection) -> None:
        lost = asyncio.Event()
        try:
            connection.add_termination_listener(_setter(lost))
            await connection.add_listener(self._address.channel, self.wake)
            self.wake()
            await lost.wait()
        finally:
            await end(connection)


def _setter(event: asyncio.Event) -> Callable[..., None]:
    def set_event(*_: object) -> None:
        event.set()

    return set_event
