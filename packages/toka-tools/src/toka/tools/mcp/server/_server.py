"""A registry's tools as a server, before it is said how messages get here."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Final

from toka.tools.mcp._errors import BUSY, INTERNAL_ERROR, ProtocolError
from toka.tools.mcp.server._calls import perform
from toka.tools.mcp.server._catalogue import HeaderCatalogue
from toka.tools.mcp.server._host import Host, ServerOptions
from toka.tools.mcp.server._methods import (
    IMMEDIATE_HANDSHAKE,
    IMMEDIATE_STATELESS,
    LASTING,
    check_offered,
    unknown_method,
)
from toka.tools.mcp.server._principals import ANYBODY
from toka.tools.mcp.server._seal import Seal
from toka.tools.mcp.server._sessions import DuplicateIdError
from toka.tools.mcp.server._subscriptions import Subscriptions, TooManyListenersError
from toka.tools.mcp.server._tasks import TaskBoard

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from toka.tools._context import ToolContext
    from toka.tools._registry import ToolRegistry
    from toka.tools.mcp.server._exchange import Exchange


_log = logging.getLogger("toka.tools.mcp")

MAX_RUNNING: Final = 1_024
"""Requests that are worked on at the same time, tasks among them."""
MAX_RUNNING_OF_ONE: Final = 128
"""Of them, those of one principal, where there can be more than one."""


class McpServer:
    """Serves the tools of a registry to clients of both protocol eras.

    Used as an asynchronous context manager: calls run inside of it, and end with it.
    """

    def __init__(
        self, registry: ToolRegistry, context: ToolContext, options: ServerOptions | None = None
    ) -> None:
        """Prepare to serve.

        Args:
            registry: The tools. Say `tools_changed` when it holds others.
            context: The conditions of every call. What it grants is what callers without a token
                of their own may do.
            options: How to present itself and do its work.
        """
        options = options if options is not None else ServerOptions()
        offered = {"tools"}
        if options.prompts is not None:
            offered.add("prompts")
        if options.resources is not None:
            offered.add("resources")
        subscriptions = Subscriptions(frozenset(offered))
        self.host = Host(
            registry,
            context,
            options,
            Seal(context.clock, options.seal_key),
            TaskBoard(context.clock, subscriptions.task_changed),
            subscriptions,
            HeaderCatalogue(registry),
        )
        self._group = asyncio.TaskGroup()
        self._running: set[asyncio.Task[None]] = set()
        self._shares: Counter[str] = Counter()

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.host.subscriptions.end_all()
        self.host.board.cancel_all()
        for task in tuple(self._running):
            task.cancel()
        await self._group.__aexit__(kind, error, traceback)

    @property
    def running(self) -> int:
        """How many requests are being worked on."""
        return len(self._running)

    def tools_changed(self) -> None:
        """Tell clients that the registry holds other tools."""
        self.host.subscriptions.list_changed("tools")

    def prompts_changed(self) -> None:
        """Tell clients that there are other prompts."""
        self.host.subscriptions.list_changed("prompts")

    def resources_changed(self) -> None:
        """Tell clients that there are other resources."""
        self.host.subscriptions.list_changed("resources")

    def resource_updated(self, uri: str) -> None:
        """Tell clients that asked for it that a resource has another content."""
        self.host.subscriptions.resource_updated(uri)

    def cancel(self, exchange: Exchange) -> None:
        """End the work on a request without an answer."""
        self.host.subscriptions.leave(exchange)
        exchange.cancel()

    def receive(self, exchange: Exchange) -> None:
        """Answer a request, now or when its work is done."""
        try:
            self._receive(exchange)
        except ProtocolError as error:
            exchange.refuse(error, anonymous=isinstance(error, DuplicateIdError))
        except TooManyListenersError as error:
            exchange.refuse(ProtocolError(error.message, BUSY))
        except Exception:  # noqa: BLE001 - outermost, as in `perform`
            _log.exception("%s failed", exchange.method)
            exchange.refuse(ProtocolError("Something failed here.", INTERNAL_ERROR))

    def _receive(self, exchange: Exchange) -> None:
        if exchange.session is not None:
            exchange.session.admit(exchange)
        immediate = IMMEDIATE_STATELESS if exchange.stateless else IMMEDIATE_HANDSHAKE
        method = exchange.method
        if method in LASTING:
            check_offered(self.host, method)
            self._start(exchange)
        elif method in immediate:
            check_offered(self.host, method)
            exchange.answer(immediate[method](self.host, exchange))
        elif method == "subscriptions/listen" and exchange.stateless:
            self.host.subscriptions.listen(exchange, self.host.board)
        else:
            raise unknown_method(method)

    def _start(self, exchange: Exchange) -> None:
        name = exchange.principal.name
        self._check_room(name)
        work = perform(self.host, exchange, LASTING[exchange.method])
        exchange.task = task = self._group.create_task(work)
        self._running.add(task)
        self._shares[name] += 1
        task.add_done_callback(partial(self._end, name))

    def _check_room(self, name: str) -> None:
        if len(self._running) >= MAX_RUNNING:
            raise ProtocolError("Too much is being done here; try again later.", BUSY)
        if name != ANYBODY.name and self._shares[name] >= MAX_RUNNING_OF_ONE:
            raise ProtocolError("Too much is being done here for you; try again later.", BUSY)

    def _end(self, name: str, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._shares[name] -= 1
        if not self._shares[name]:
            del self._shares[name]
