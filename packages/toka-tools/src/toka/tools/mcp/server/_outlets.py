"""Where messages for the other side go: one stream for each request, or one for everything."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final, Protocol

MAX_WAITING: Final = 64
"""Messages on one stream that the other side has not read."""


class Outlet(Protocol):
    """Takes the messages that belong to one request, in their order."""

    async def send(self, message: bytes) -> None:
        """Pass a message on, when there is room; into the void once nobody listens."""
        ...

    def offer(self, message: bytes) -> bool:
        """Pass a message on if there is room now, and say whether there was."""
        ...

    def finish(self, message: bytes | None, number: int = 0) -> None:
        """Pass the last message on, if there is one.

        Args:
            message: The answer to the request.
            number: Its error code, or 0.
        """
        ...


class Mailbox:
    """An outlet that is read at the other end, as the body of an HTTP response."""

    __slots__ = ("_arrived", "_closed", "_finished", "_left", "_waiting", "number")

    def __init__(self) -> None:
        self._waiting: deque[bytes] = deque()
        self._arrived = asyncio.Event()
        self._left = asyncio.Event()
        self._finished = False
        self._closed = False
        self.number = 0
        """The error code of the last message, or 0."""

    async def send(self, message: bytes) -> None:
        """Pass a message on, when there is room."""
        while len(self._waiting) >= MAX_WAITING and not self._closed:
            self._left.clear()
            await self._left.wait()
        self.offer(message)

    def offer(self, message: bytes) -> bool:
        """Pass a message on if there is room now, and say whether there was."""
        if self._closed or self._finished or len(self._waiting) >= MAX_WAITING:
            return False
        self._waiting.append(message)
        self._arrived.set()
        return True

    def finish(self, message: bytes | None, number: int = 0) -> None:
        """Pass the last message on; there is always room for it."""
        if self._finished:
            return
        self._finished, self.number = True, number
        if message is not None:
            self._waiting.append(message)
        self._arrived.set()

    @property
    def is_over(self) -> bool:
        """Whether everything was read that will ever come."""
        return self._finished and not self._waiting

    async def next_within(self, seconds: float) -> bytes | None:
        """Return the next message, None if there will be none, or an empty one if it takes long."""
        if not self._waiting and not self._finished:
            self._arrived.clear()
            # Cheaper than a timeout, and there is one of these in every request.
            alarm = asyncio.get_running_loop().call_later(seconds, self._arrived.set)
            try:
                await self._arrived.wait()
            finally:
                alarm.cancel()
        if self._waiting:
            self._left.set()
            return self._waiting.popleft()
        return None if self._finished else b""

    def close(self) -> None:
        """Stop reading; whoever waits for room is let go."""
        self._closed = True
        self._waiting.clear()
        self._left.set()
