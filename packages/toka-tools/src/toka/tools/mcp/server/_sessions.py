"""Sessions of the handshake era: bounded in number, ending by themselves, one principal's alone."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Final, cast

import attrs
import msgspec

from toka.tools.mcp._errors import INTERNAL_ERROR, McpError, ProtocolError, RemoteError
from toka.tools.mcp._messages import encode_notification, encode_request
from toka.types import NANOSECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toka.tools.mcp._messages import Message, RequestId
    from toka.tools.mcp.server._exchange import Exchange
    from toka.tools.mcp.server._outlets import Outlet
    from toka.tools.mcp.server._principals import Principal
    from toka.types import Clock, Json, JsonObject

MAX_SESSIONS: Final = 1_024
MAX_SESSIONS_OF_ONE: Final = 64
MAX_SUBSCRIPTIONS: Final = 256
IDLE_NS: Final = 1_800 * NANOSECONDS
ANSWER_SECONDS: Final = 600
"""How long a person may take to answer, before the call goes on without."""


class TooManySessionsError(McpError):
    """There is no room for another session now."""

    default_code = "tools.mcp_too_many_sessions"
    transient = True


class DuplicateIdError(ProtocolError):
    """Another request with this id is being answered: an answer to this one might pass for its."""


@attrs.define(eq=False)
class Session:
    """What is known of one client between its requests."""

    id: str
    principal: Principal
    revision: str
    capabilities: JsonObject
    used_at: int
    log_level: str | None = None
    subscribed: set[str] = attrs.field(factory=set[str])
    """URIs of resources whose changes it wants to hear of."""
    running: dict[RequestId, Exchange] = attrs.field(factory=dict["RequestId", "Exchange"])
    outlet: Outlet | None = None
    """Takes what belongs to no request, while somebody listens."""
    _asked: dict[int, asyncio.Future[Json]] = attrs.field(
        factory=dict[int, "asyncio.Future[Json]"], init=False
    )
    _last: int = attrs.field(default=0, init=False)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is being answered and nobody listens."""
        return not self.running and self.outlet is None

    def admit(self, exchange: Exchange) -> None:
        """Note a request as being answered.

        Raises:
            DuplicateIdError: Another one with this id is.
        """
        if exchange.id in self.running:
            raise DuplicateIdError("A request with this id is still being answered.")
        self.running[exchange.id] = exchange

    async def ask(self, outlet: Outlet, method: str, params: JsonObject) -> Json:
        """Send a request to the client on this stream, and return its result.

        Raises:
            RemoteError: It answered with an error, or not in time.
        """
        self._last += 1
        number = self._last
        future: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._asked[number] = future
        try:
            await outlet.send(encode_request(number, method, params))
            async with asyncio.timeout(ANSWER_SECONDS):
                return await future
        except TimeoutError as error:
            raise RemoteError(f"{method} was not answered in time.", INTERNAL_ERROR) from error
        finally:
            del self._asked[number]

    def resolve(self, message: Message) -> None:
        """Hand a response to whoever waits for it; one that nobody waits for is dropped."""
        future = self._asked.get(message.id) if isinstance(message.id, int) else None
        if future is None or future.done():
            return
        if message.error is not msgspec.UNSET:
            error = message.error
            data = None if error.data is msgspec.UNSET else cast("Json", error.data)
            future.set_exception(RemoteError(error.message, error.code, data))
        else:
            future.set_result(cast("Json", message.result))

    def cancel(self, request_id: Json) -> None:
        """End the work on a request, if it is still being done."""
        if isinstance(request_id, (int, str)):
            exchange = self.running.get(request_id)
            if exchange is not None:
                exchange.cancel()

    def tell(self, method: str, params: JsonObject) -> None:
        """Notify the client of what belongs to no request, if it listens."""
        if self.outlet is not None:
            self.outlet.offer(encode_notification(method, params))

    def end(self) -> None:
        """End everything that is done for it."""
        for exchange in tuple(self.running.values()):
            exchange.cancel()
        if self.outlet is not None:
            self.outlet.finish(None)
            self.outlet = None


class Sessions:
    """All sessions of one HTTP server, the one used longest ago first."""

    __slots__ = ("_clock", "_idle_ns", "_limit", "_limit_of_one", "_sessions")

    def __init__(
        self,
        clock: Clock,
        *,
        limit: int = MAX_SESSIONS,
        limit_of_one: int = MAX_SESSIONS_OF_ONE,
        idle_ns: int = IDLE_NS,
    ) -> None:
        """Prepare to keep sessions."""
        self._clock = clock
        self._limit = limit
        self._limit_of_one = limit_of_one
        self._idle_ns = idle_ns
        self._sessions: dict[str, Session] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def __iter__(self) -> Iterator[Session]:
        return iter(tuple(self._sessions.values()))

    def open(self, principal: Principal, revision: str, capabilities: JsonObject) -> Session:
        """Begin a session; it takes the place of its principal's oldest if those are too many.

        Raises:
            TooManySessionsError: Others hold all there may be.
        """
        self._expire()
        self._make_room(principal)
        now = self._clock.monotonic()
        session = Session(secrets.token_urlsafe(24), principal, revision, capabilities, now)
        self._sessions[session.id] = session
        return session

    def find(self, session_id: str, principal: Principal) -> Session | None:
        """Return a session of this principal; somebody else's is as good as none."""
        self._expire()
        session = self._sessions.get(session_id)
        if session is None or session.principal.name != principal.name:
            return None
        session.used_at = self._clock.monotonic()
        self._sessions[session_id] = self._sessions.pop(session_id)  # to the end: used last
        return session

    def close(self, session: Session) -> None:
        """End a session."""
        self._sessions.pop(session.id, None)
        session.end()

    def close_all(self) -> None:
        """End every session."""
        for session in self:
            self.close(session)

    def _expire(self) -> None:
        end = self._clock.monotonic() - self._idle_ns
        for session in self:
            if session.used_at > end:
                return
            if session.is_idle:
                self.close(session)

    def _make_room(self, principal: Principal) -> None:
        own = [each for each in self if each.principal.name == principal.name]
        if len(own) >= self._limit_of_one:
            self.close(next((each for each in own if each.is_idle), own[0]))
        if len(self._sessions) >= self._limit:
            raise TooManySessionsError("There are as many sessions as there may be.")
