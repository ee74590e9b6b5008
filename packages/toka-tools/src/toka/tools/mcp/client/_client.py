"""One server, its connection, and the tools of it that were approved.

The tools are those of the pins, so listing them starts nothing and says the same each time. The
connection is made at the first call, and again when it was lost; what the server offers then is
compared with what was approved before anything is called.

All tasks of a connection run in the client's own task group, which the task that entered it leaves.
No call enters or leaves a scope of another.
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Final, Self, TypeAlias

import anyio
import attrs

from toka.tools.mcp._errors import ConnectionLostError, McpError, RemoteError
from toka.tools.mcp._header_values import header_values
from toka.tools.mcp._revisions import META_TRACE
from toka.tools.mcp.client._asking import Asked
from toka.tools.mcp.client._authorizer import BearerToken, NoToken
from toka.tools.mcp.client._config import check_server_name, secret_of
from toka.tools.mcp.client._definition import read_definition
from toka.tools.mcp.client._errors import (
    DefinitionChangedError,
    NotApprovedError,
    SessionEndedError,
    UnusableDefinitionError,
)
from toka.tools.mcp.client._pins import Pins
from toka.tools.mcp.client._remote_tool import RemoteTool
from toka.tools.mcp.client._session import Session, is_stale
from toka.tools.mcp.client._tasks import finish_task, is_task
from toka.types import NANOSECONDS, SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator
    from types import TracebackType

    from anyio.abc import TaskGroup

    from toka.tools._context import ToolContext, Workspace
    from toka.tools._errors import ToolError
    from toka.tools.mcp._messages import Message
    from toka.tools.mcp.client._asking import AskPerson
    from toka.tools.mcp.client._authorizer import Authorizer
    from toka.tools.mcp.client._config import ServerConfig
    from toka.tools.mcp.client._definition import Definition
    from toka.tools.mcp.client._transport import Transport
    from toka.types import Clock, Json, JsonObject

    OnProgress: TypeAlias = Callable[[str, float, float | None, str | None], None]

FIRST_DELAY_NS: Final = NANOSECONDS // 4
LAST_DELAY_NS: Final = 30 * NANOSECONDS


@attrs.frozen
class Offer:
    """One entry of a server's list, and what stands against it."""

    name: str
    """The server's name for it, in ASCII."""
    definition: Definition | None
    """None where it cannot be used at all."""
    refusal: ToolError | None
    """None where it is approved as it is."""


@attrs.define
class _Connection:
    transport: Transport
    session: Session
    offers: dict[str, Offer] = attrs.field(factory=dict[str, Offer])


@attrs.define(eq=False)
class McpClient:
    """A client of one server; an asynchronous context manager, entered once.

    Attributes:
        name: The server's name, which its tools' names begin with.
        config: How it is reached, and what its tools may do.
        pins: What was approved.
        workspace: Where a command works, and what is protected from it.
        authorizer: Where tokens come from; else what the configuration says.
        ask_person: Puts a server's questions to a person; without it they are refused.
        on_progress: Told of progress: the tool, how far, of how much, and the server's words.
    """

    name: str = attrs.field(validator=lambda _, __, value: check_server_name(value))
    config: ServerConfig = attrs.field(repr=False)
    workspace: Workspace
    pins: Pins = attrs.field(factory=Pins)
    authorizer: Authorizer | None = attrs.field(default=None, repr=False)
    ask_person: AskPerson | None = None
    on_progress: OnProgress | None = None
    clock: Clock = attrs.field(factory=SystemClock, repr=False)
    _tasks: TaskGroup | None = attrs.field(default=None, init=False, repr=False)
    _connection: _Connection | None = attrs.field(default=None, init=False, repr=False)
    _lock: anyio.Lock = attrs.field(factory=anyio.Lock, init=False, repr=False)
    _stale: bool = attrs.field(default=False, init=False)
    _failures: int = attrs.field(default=0, init=False)
    _failed_at: int = attrs.field(default=0, init=False)

    async def __aenter__(self) -> Self:
        if self._tasks is not None:
            raise McpError(f"The client of {self.name} was entered already.")
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        tasks = self._tasks
        if tasks is None:
            return None
        await self._drop()
        tasks.cancel_scope.cancel()
        if kind is not None and issubclass(kind, anyio.get_cancelled_exc_class()):
            return await tasks.__aexit__(kind, error, trace)
        # An error of the body is its own: told of it, the group would wrap it.
        return await tasks.__aexit__(None, None, None)

    def tools(self) -> tuple[RemoteTool, ...]:
        """Return the approved tools, by name. Starts nothing.

        Raises:
            UnusableDefinitionError: Two of them would have the same name here.
        """
        definitions = [
            read_definition(self.name, content)
            for name, content in self.pins.of(self.name).items()
            if self.config.only is None or name in self.config.only
        ]
        tools = [RemoteTool(one, self.config, self) for one in definitions]
        for name, count in Counter(tool.name for tool in tools).items():
            if count > 1:
                raise UnusableDefinitionError(
                    f"{self.name} has {count} tools that would be called {name} here.",
                    hint="Give one of them a `name` in the configuration.",
                )
        return tuple(sorted(tools, key=lambda tool: tool.name))

    async def offers(self) -> tuple[Offer, ...]:
        """Connect, and return all that the server offers with what stands against it.

        Raises:
            ToolError: It cannot be reached.
        """
        connection = await self._connected()
        return tuple(connection.offers.values())

    async def refresh(self) -> tuple[Offer, ...]:
        """Have the server list its tools again, and judge them by the pins that there are now.

        Raises:
            ToolError: It cannot be reached.
        """
        self._stale = True
        return await self.offers()

    @property
    def revision(self) -> str | None:
        """The revision of the protocol that was agreed on, once there is a connection."""
        return None if self._connection is None else self._connection.session.revision

    async def call(
        self, definition: Definition, arguments: JsonObject, context: ToolContext
    ) -> dict[str, Json]:
        """Call a tool and return what the server answered; `RemoteTool` is who does.

        A call whose connection is lost is not made again, for nobody knows whether the server did
        it; one that the server refused without looking at it, because its session was gone, is.

        Raises:
            ToolError: It is not what was approved, cannot be reached, or failed.
        """
        for attempt in (0, 1):
            connection = await self._connected()
            self._check(connection, definition)
            try:
                result = await self._call(connection.session, definition, arguments, context)
            except SessionEndedError:
                await self._drop(connection)
                if attempt:
                    raise
            except ConnectionLostError:
                await self._drop(connection, failed=not connection.transport.alive)
                raise
            except RemoteError as error:
                self._stale = self._stale or is_stale(error)
                raise
            else:
                self._failures = 0
                return result
        raise AssertionError("unreachable")

    async def _call(
        self, session: Session, definition: Definition, arguments: JsonObject, context: ToolContext
    ) -> dict[str, Json]:
        headers = header_values(definition.headers, arguments) if session.stateless else {}
        variables = {name: context.environment.get(name.upper()) for name in META_TRACE}
        meta: dict[str, Json] = {name: value for name, value in variables.items() if value}
        told, tool = self.on_progress, definition.local_name
        result = await session.call(
            definition.name,
            arguments,
            headers=headers,
            on_progress=None if told is None else partial(told, tool),
            meta=meta,
            as_task=definition.task,
        )
        if is_task(result, stateless=session.stateless):
            return await finish_task(session, result)
        return result

    def _check(self, connection: _Connection, definition: Definition) -> None:
        """Refuse a call of a tool that its server now defines in another way."""
        offer = connection.offers.get(definition.name)
        if offer is None:
            raise DefinitionChangedError(
                f"{self.name} does not offer {definition.name} any more.",
                details={"server": self.name, "tool": definition.name, "changes": ["/: removed"]},
            )
        if offer.refusal is not None:
            raise copy(offer.refusal)
        if offer.definition is None or offer.definition.sha256 != definition.sha256:
            raise NotApprovedError(f"{definition.local_name} was approved as something else.")

    async def _connected(self) -> _Connection:
        """Return a connection whose offers are what the server last said.

        Raises:
            ToolError: There is none to be had.
        """
        if self._tasks is None:
            raise McpError(f"The client of {self.name} is not entered.", hint="Use `async with`.")
        async with self._lock:
            current = self._connection
            if current is not None and not current.transport.alive:
                await self._close(current)
                self._fail()
                current = None
            if current is None:
                await self._wait()
                current = await self._connect(self._tasks)
            elif self._stale:
                current = await self._listed_again(current, self._tasks)
            return current

    async def _listed_again(self, connection: _Connection, tasks: TaskGroup) -> _Connection:
        try:
            await self._list(connection)
        except SessionEndedError:
            await self._close(connection)
            return await self._connect(tasks)
        except ConnectionLostError:
            await self._abandon(connection)
            raise
        return connection

    async def _connect(self, tasks: TaskGroup) -> _Connection:
        transport, session = await self._open(tasks)
        connection = _Connection(transport, session)
        try:
            with self._patience():
                silence = self.config.command is not None
                await session.negotiate(self.config.revision, silence=silence)
            await self._list(connection)
        except BaseException:
            await self._abandon(connection)
            raise
        self._connection = connection
        tasks.start_soon(session.listen)
        return connection

    async def _open(self, tasks: TaskGroup) -> tuple[Transport, Session]:
        opened: list[Session] = []

        def take(message: Message) -> None:
            for session in opened:
                session.take(message)

        transport = await self._transport(tasks, take)
        asked = Asked(self.name, self.ask_person)

        def spawn(answering: Coroutine[None, None, None]) -> None:
            tasks.start_soon(_run, answering)

        session = Session(self.name, transport, asked, spawn, self._changed)
        opened.append(session)
        return transport, session

    async def _transport(self, tasks: TaskGroup, take: Callable[[Message], None]) -> Transport:
        if self.config.command is not None:
            from toka.tools.mcp.client._stdio import (  # noqa: PLC0415 - only with a connection
                StdioTransport,
            )

            process = StdioTransport(self.name, self.config, self.workspace, take)
            await tasks.start(process.run)
            return process
        from toka.tools.mcp.client._http import HttpTransport  # noqa: PLC0415 - imports aiohttp

        return HttpTransport(self.name, self.config, self._authorizer(), take)

    def _authorizer(self) -> Authorizer:
        if self.authorizer is None:
            self.authorizer = self._configured_authorizer()
        return self.authorizer

    def _configured_authorizer(self) -> Authorizer:
        if self.config.bearer_env is not None:
            return BearerToken(secret_of(self.config.bearer_env))
        if self.config.authorization is None:
            return NoToken()
        from toka.tools.mcp.client._oauth import client_credentials  # noqa: PLC0415 - an extra

        return client_credentials(self.config)

    async def _list(self, connection: _Connection) -> None:
        # A change said while the list is on its way is one that the list may not have.
        self._stale = False
        with self._patience():
            listed = await connection.session.list_tools()
        connection.offers = self._judge(listed)

    @contextmanager
    def _patience(self) -> Generator[None]:
        try:
            with anyio.fail_after(self.config.timeout):
                yield
        except TimeoutError:
            raise ConnectionLostError(
                f"{self.name} did not answer within {self.config.timeout:g} s.",
                details={"server": self.name},
            ) from None

    def _judge(self, listed: list[Json]) -> dict[str, Offer]:
        offers: dict[str, Offer] = {}
        doubled = [one.get("name") for one in listed if isinstance(one, dict)]
        for one in listed:
            name = one.get("name") if isinstance(one, dict) else None
            if self.config.only is not None and name not in self.config.only:
                continue
            offer = self._offer(one, once=doubled.count(name) == 1)
            offers[offer.name] = offer
        return offers

    def _offer(self, listed: Json, *, once: bool) -> Offer:
        name = listed.get("name") if isinstance(listed, dict) else None
        shown = name if isinstance(name, str) and name.isascii() and name.isprintable() else ""
        shown = shown[:128] or ascii(name)[:100]
        try:
            definition = read_definition(self.name, listed)
        except UnusableDefinitionError as error:
            return Offer(shown, None, error)
        if not once:
            doubled = UnusableDefinitionError(f"{self.name} offers {shown} twice.")
            return Offer(shown, None, doubled)
        try:
            self.pins.check(definition)
        except NotApprovedError as error:
            return Offer(shown, definition, error)
        return Offer(shown, definition, None)

    def _changed(self) -> None:
        self._stale = True

    async def _drop(self, lost: _Connection | None = None, *, failed: bool = False) -> None:
        """Close the connection, or `lost` if that is still the one there is."""
        with anyio.CancelScope(shield=True):
            current = self._connection
            if current is None or (lost is not None and current is not lost):
                return
            self._connection = None
            if failed:
                self._fail()
            await current.transport.close()

    async def _close(self, connection: _Connection) -> None:
        self._connection = None
        with anyio.CancelScope(shield=True):
            await connection.transport.close()

    async def _abandon(self, connection: _Connection) -> None:
        self._fail()
        await self._close(connection)

    def _fail(self) -> None:
        self._failures += 1
        self._failed_at = self.clock.monotonic()

    async def _wait(self) -> None:
        """Let time pass before the next attempt: none after one failure, then more and more."""
        if self._failures < 2:  # noqa: PLR2004 - the first restart is at once
            return
        delay = min(FIRST_DELAY_NS << min(self._failures - 2, 10), LAST_DELAY_NS)
        left = self._failed_at + delay - self.clock.monotonic()
        if left > 0:
            await self.clock.sleep(left)


async def _run(answering: Coroutine[None, None, None]) -> None:
    await answering
