"""A server at a URL: each request is a POST, answered as JSON or as a stream of events.

An answer is taken only from the response to its own request and only with its id, so that no server
can put words into another request. Redirects are not followed: the operator wrote one URL.
"""

from __future__ import annotations

from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

import aiohttp
import anyio
import attrs
import msgspec
from yarl import URL

from toka.tools.http._addresses import is_public
from toka.tools.http._client import checked_connector
from toka.tools.http._url import Target, parse_target
from toka.tools.mcp._errors import ConnectionLostError, McpError, ProtocolError
from toka.tools.mcp._messages import Message, decode, encode_notification
from toka.tools.mcp._revisions import HEADER_REVISION, HEADER_SESSION
from toka.tools.mcp.client._authorizer import Challenge
from toka.tools.mcp.client._errors import AuthorizationError, HttpStatusError, SessionEndedError
from toka.tools.mcp.client._events import EventParser

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from toka.tools.http._addresses import Address
    from toka.tools.mcp.client._authorizer import Authorizer
    from toka.tools.mcp.client._config import ServerConfig
    from toka.tools.mcp.client._transport import OnMessage, Outgoing

MAX_CHALLENGES: Final = 3
MAX_RESUMPTIONS: Final = 10
DEFAULT_RETRY_MS: Final = 1_000
GOODBYE_SECONDS: Final = 2.0
CANCEL_SECONDS: Final = 0.5
_CHUNK: Final = 1 << 16
_MAX_SESSION_ID: Final = 1_024
_OK, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND = 200, 401, 403, 404


def addresses_of(target: Target, *, private: bool) -> Callable[[Address], bool]:
    """Return what decides whether an address of the server's host is one to connect to.

    An address, or `localhost`, that the operator wrote is what they meant.
    """
    literal = target.address
    if private:
        return lambda _: True
    if target.host == "localhost":
        return lambda address: address.is_loopback
    return lambda address: is_public(address) or address == literal


@attrs.define(eq=False)
class HttpTransport:
    """The connection to one URL."""

    _server: str
    _config: ServerConfig
    _authorizer: Authorizer
    _on_message: OnMessage
    _target: Target = attrs.field(init=False)
    _http: aiohttp.ClientSession = attrs.field(init=False, repr=False)
    _session: str | None = attrs.field(default=None, init=False, repr=False)
    _revision: str | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._target = parse_target(self._config.url or "")
        allows = addresses_of(self._target, private=self._config.private)
        self._http = aiohttp.ClientSession(
            connector=checked_connector(self._target.host, allows),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
            trust_env=False,
            read_bufsize=_CHUNK,
        )

    @property
    def alive(self) -> bool:
        """Whether requests can be sent."""
        return not self._http.closed

    def set_revision(self, revision: str) -> None:
        """Say this revision in requests that say none by themselves."""
        self._revision = revision

    async def request(self, outgoing: Outgoing) -> Message:
        """Send a request and return its answer.

        Raises:
            AuthorizationError: The server wants a token that cannot be had.
            ConnectionLostError: The answer will never come.
            HttpStatusError: The server refused it without an answer.
            ProtocolError: What came is no answer to this request.
            SessionEndedError: The server does not know the session.
        """
        try:
            return await self._request(outgoing)
        except anyio.get_cancelled_exc_class():
            if not outgoing.stateless:
                await self._give_up(outgoing)
            raise

    async def _give_up(self, outgoing: Outgoing) -> None:
        note = encode_notification("notifications/cancelled", {"requestId": outgoing.id})
        with anyio.move_on_after(CANCEL_SECONDS, shield=True), suppress(McpError):
            await self.send(note)

    async def _request(self, outgoing: Outgoing) -> Message:
        for _ in range(MAX_CHALLENGES):
            answer = await self._try(outgoing)
            if isinstance(answer, Message):
                return answer
            if not await self._authorizer.answer(answer):
                break
        raise AuthorizationError(
            f"{self._server} accepts no token that there is.", details={"server": self._server}
        )

    async def _try(self, outgoing: Outgoing) -> Message | Challenge:
        async with self._exchange("POST", outgoing.headers, outgoing.body) as (response, sent):
            if response.status not in (_UNAUTHORIZED, _FORBIDDEN):
                return await self._answer(response, outgoing)
            headers = {name.lower(): value for name, value in response.headers.items()}
            revision = outgoing.headers.get(HEADER_REVISION, self._revision or "")
            return Challenge(response.status, headers, sent, revision)

    @asynccontextmanager
    async def _exchange(
        self, method: str, headers: Mapping[str, str], body: bytes | None
    ) -> AsyncGenerator[tuple[aiohttp.ClientResponse, str | None]]:
        token = await self._authorizer.authorization()
        sending = {**self._headers(), **headers}
        if token is not None:
            sending["Authorization"] = token
        try:
            async with self._http.request(
                method,
                URL(self._target.url, encoded=True),
                headers=sending,
                data=body,
                allow_redirects=False,
                skip_auto_headers=("User-Agent",),
            ) as response:
                yield response, token
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # Without its cause, whose text may hold the whole URL, and that a key.
            raise ConnectionLostError(
                f"The request to {self._server} failed: {type(error).__name__}.",
                details={"server": self._server, "origin": self._target.origin},
            ) from None

    def _headers(self) -> dict[str, str]:
        headers = {
            "Accept": "application/json, text/event-stream",
            "Accept-Encoding": "identity",
            "Content-Type": "application/json",
            **self._config.headers,
        }
        if self._session is not None:
            headers[HEADER_SESSION] = self._session
        if self._revision is not None:
            headers[HEADER_REVISION] = self._revision
        return headers

    async def _answer(self, response: aiohttp.ClientResponse, outgoing: Outgoing) -> Message:
        kind = response.content_type
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise ProtocolError(f"{self._server} answered in an encoding that was not asked for.")
        if response.status == _NOT_FOUND and self._session is not None:
            raise SessionEndedError(f"{self._server} does not know the session any more.")
        if response.status != _OK:
            return await self._refusal(response, outgoing)
        self._remember(response)
        if kind == "text/event-stream":
            return await self._stream(response, outgoing)
        if kind != "application/json":
            raise ProtocolError(f"{self._server} answered with {ascii(kind)[:60]}.")
        return self._own(decode(await self._body(response)), outgoing)

    async def _refusal(self, response: aiohttp.ClientResponse, outgoing: Outgoing) -> Message:
        if response.content_type == "application/json":
            try:
                message = decode(await self._body(response))
            except ProtocolError:
                raise HttpStatusError(self._server, response.status) from None
            if message.is_response and message.id in (None, msgspec.UNSET, outgoing.id):
                return message
        raise HttpStatusError(self._server, response.status)

    def _remember(self, response: aiohttp.ClientResponse) -> None:
        session = response.headers.get(HEADER_SESSION)
        if session is None or self._session is not None:
            return
        if len(session) > _MAX_SESSION_ID or not session.isascii() or not session.isprintable():
            raise ProtocolError(f"{self._server} gave a session a name that no header can carry.")
        self._session = session

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        limit, body = self._config.max_message_bytes, bytearray()
        async for chunk in response.content.iter_chunked(_CHUNK):
            body += chunk
            if len(body) > limit:
                raise ProtocolError(f"{self._server} sent a message of more than {limit} bytes.")
        return bytes(body)

    def _own(self, message: Message, outgoing: Outgoing) -> Message:
        if not message.is_response or message.id != outgoing.id:
            raise ProtocolError(f"{self._server} answered something that it was not asked.")
        return message

    async def _stream(self, response: aiohttp.ClientResponse, outgoing: Outgoing) -> Message:
        parser = EventParser(self._config.max_message_bytes)
        answer = await self._events(response, parser, outgoing)
        for _ in range(MAX_RESUMPTIONS):
            if answer is not None:
                return answer
            if outgoing.stateless or not parser.last_id:
                break
            retry = DEFAULT_RETRY_MS if parser.retry_ms is None else parser.retry_ms
            await anyio.sleep(retry / 1_000)
            headers = {"Last-Event-ID": parser.last_id, "Accept": "text/event-stream"}
            async with self._exchange("GET", headers, None) as (resumed, _token):
                if resumed.status != _OK or resumed.content_type != "text/event-stream":
                    break
                answer = await self._events(resumed, parser, outgoing)
        raise ConnectionLostError(
            f"{self._server} ended the stream without an answer.", details={"server": self._server}
        )

    async def _events(
        self, response: aiohttp.ClientResponse, parser: EventParser, outgoing: Outgoing | None
    ) -> Message | None:
        try:
            async for chunk in response.content.iter_any():
                for event in parser.feed(chunk):
                    if event.kind != "message" or not event.data:
                        continue
                    message = decode(event.data)
                    if not message.is_response:
                        self._on_message(message)
                    elif outgoing is not None:
                        return self._own(message, outgoing)
        except aiohttp.ClientError:
            return None  # Cut off; it may be taken up again.
        return None

    async def send(self, body: bytes) -> None:
        """Send a notification, or the answer to something that the server asked.

        Raises:
            ConnectionLostError: It cannot be sent.
        """
        async with self._exchange("POST", {}, body) as (response, _):
            await self._body(response)

    async def listen(self) -> None:
        """Take what the server says unasked, until it wants to say no more."""
        parser = EventParser(self._config.max_message_bytes)
        for _ in range(MAX_RESUMPTIONS):
            headers = {"Accept": "text/event-stream"}
            if parser.last_id:
                headers["Last-Event-ID"] = parser.last_id
            try:
                async with self._exchange("GET", headers, None) as (response, _token):
                    if response.status != _OK or response.content_type != "text/event-stream":
                        return
                    await self._events(response, parser, None)
            except McpError:
                return
            retry = DEFAULT_RETRY_MS if parser.retry_ms is None else parser.retry_ms
            await anyio.sleep(retry / 1_000)

    async def close(self) -> None:
        """End the session, and the connections."""
        with anyio.move_on_after(GOODBYE_SECONDS, shield=True):
            if self._session is not None and not self._http.closed:
                await self._say_goodbye()
        with anyio.CancelScope(shield=True):
            await self._http.close()

    async def _say_goodbye(self) -> None:
        try:
            async with self._exchange("DELETE", {}, None) as (response, _):
                response.release()
        except (McpError, AuthorizationError):
            return  # The server will forget it in its own time.
