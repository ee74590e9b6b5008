"""All servers of a configuration, and the tools of them that were approved."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Self

import attrs

from toka.tools.mcp.client._client import McpClient
from toka.tools.mcp.client._pins import Pins

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from toka.tools._context import Workspace
    from toka.tools.mcp.client._asking import AskPerson
    from toka.tools.mcp.client._config import ServerConfig
    from toka.tools.mcp.client._remote_tool import RemoteTool


@attrs.define(eq=False)
class McpHost:
    """The clients of several servers; an asynchronous context manager, entered once.

    Entering starts nothing: each server is begun by the first call of one of its tools.

    Attributes:
        servers: The servers by name.
        workspace: Where commands work.
        pins: What was approved.
        ask_person: Puts servers' questions to a person; without it they are refused.
    """

    servers: Mapping[str, ServerConfig] = attrs.field(repr=False)
    workspace: Workspace
    pins: Pins = attrs.field(factory=Pins)
    ask_person: AskPerson | None = None
    clients: dict[str, McpClient] = attrs.field(init=False, repr=False)
    _entered: AsyncExitStack = attrs.field(factory=AsyncExitStack, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self.clients = {
            name: McpClient(
                name, config, self.workspace, pins=self.pins, ask_person=self.ask_person
            )
            for name, config in sorted(self.servers.items())
        }

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as entered:
            for client in self.clients.values():
                await entered.enter_async_context(client)
            self._entered = entered.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        return await self._entered.__aexit__(kind, error, trace)

    def tools(self) -> tuple[RemoteTool, ...]:
        """Return the approved tools of all servers, by server and name. Starts nothing.

        Raises:
            UnusableDefinitionError: Two tools would have the same name here.
        """
        return tuple([tool for client in self.clients.values() for tool in client.tools()])
