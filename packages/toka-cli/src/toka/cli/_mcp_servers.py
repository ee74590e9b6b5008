"""The MCP servers whose tools agents have, which may be exchanged while they answer."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, Self

import anyio

if TYPE_CHECKING:
    from types import TracebackType

    from anyio.abc import TaskStatus

    from toka.tools.mcp.client import McpHost

_KEPT: Final = 2
"""Exchanged configurations whose servers stay for the calls that they are answering."""


class McpServers:
    """Holds connections to MCP servers, from the first call of a tool until it is left.

    What is entered in a task has to be left in that task, and who exchanges servers is not always
    the same one: each configuration has a task of its own here.
    """

    def __init__(self) -> None:
        self.current: McpHost | None = None
        self._ends: deque[anyio.Event] = deque()
        self._tasks = anyio.create_task_group()

    async def change(self, servers: McpHost | None) -> None:
        """Hold other servers, or none; those of before answer what they were asked."""
        if servers is self.current:
            return
        if servers is not None:
            self._ends.append(await self._tasks.start(self._hold, servers))
        self.current = servers
        while len(self._ends) > _KEPT + (servers is not None):
            self._ends.popleft().set()

    @staticmethod
    async def _hold(servers: McpHost, *, task_status: TaskStatus[anyio.Event]) -> None:
        end = anyio.Event()
        async with servers:
            task_status.started(end)
            await end.wait()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        for end in self._ends:
            end.set()
        if kind is not None and issubclass(kind, anyio.get_cancelled_exc_class()):
            return await self._tasks.__aexit__(kind, error, trace)
        # An error of the body is its own: told of it, the group would wrap it.
        return await self._tasks.__aexit__(None, None, None)
