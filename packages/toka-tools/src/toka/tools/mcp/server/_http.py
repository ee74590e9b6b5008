"""A server over streamable HTTP: one path, both eras.

A request is refused as early as it can be: by where it comes from, by who sends it, by its length,
and only then by what it says. Answers are JSON, or a stream of events where there is something to
say before the answer. In the stateless era a client that goes away cancels; in a session it does
not, as its revision has it, and ending the session does.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import urlsplit

import attrs
import msgspec
from aiohttp import web
from aiohttp.client_exceptions import ClientConnectionError

from toka.tools.mcp._errors import McpError, ProtocolError
from toka.tools.mcp._messages import (
    MAX_MESSAGE_BYTES,
    ErrorObject,
    Message,
    RequestId,
    decode,
    encode_error,
    encode_result,
    id_in,
)
from toka.tools.mcp._revisions import (
    HANDSHAKE_REVISIONS,
    HEADER_REVISION,
    HEADER_SESSION,
)
from toka.tools.mcp.server._eras import (
    agreed_in,
    check_stateless,
    declared_in,
    handshake_result,
    says_revision,
)
from toka.tools.mcp.server._exchange import Exchange, error_object
from toka.tools.mcp.server._http_rules import (
    LOOPBACK,
    STATUS,
    accepts,
    check_headers,
    check_parameters,
    is_allowed_host,
    is_allowed_origin,
)
from toka.tools.mcp.server._outlets import Mailbox
from toka.tools.mcp.server._principals import Gate, NotAdmittedError, OpenGate, Principal
from toka.tools.mcp.server._sessions import Session, Sessions, TooManySessionsError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from toka.tools.mcp.server._server import McpServer
    from toka.types import JsonObject

BODY_SECONDS: Final = 30
"""How long a client may take to send a request."""
QUIET_SECONDS: Final = 15
"""After which a stream says that it is still there."""

_JSON: Final = "application/json"
_EVENTS: Final = "text/event-stream"
_WELL_KNOWN: Final = "/.well-known/oauth-protected-resource"
_log = logging.getLogger("toka.tools.mcp")


@attrs.frozen(kw_only=True)
class HttpOptions:
    """Where to listen, and whom to let in."""

    host: str = "127.0.0.1"
    port: int = 0
    """0 for any that is free."""
    path: str = "/mcp"
    gate: Gate = attrs.field(factory=OpenGate)
    public_url: str | None = None
    """The server's URL as clients see it, where a proxy stands in front; names it to tokens."""
    authorization_servers: tuple[str, ...] = ()
    """Issuers that clients may get a token from (RFC 9728, section 2)."""
    origins: tuple[str, ...] = ()
    """Origins of web pages that may call, beside those of this machine when it alone can."""
    hosts: tuple[str, ...] = ()
    """Names that clients may reach us by, beside those of this machine and of `public_url`."""
    max_body_bytes: int = MAX_MESSAGE_BYTES


class _Refused(Exception):
    """An answer that is known before there is a request to answer."""

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.response = web.Response(
            status=status,
            body=encode_error(None, ErrorObject(-32600, message)),
            content_type=_JSON,
            headers=headers,
        )


@asynccontextmanager
async def serve_http(server: McpServer, options: HttpOptions | None = None) -> AsyncGenerator[str]:
    """Listen, and lend the URL that clients are to be told.

    Raises:
        McpError: Anybody could call from elsewhere without a token.
        OSError: The address cannot be listened on.
    """
    options = options if options is not None else HttpOptions()
    if not options.gate.wants_credential and options.host not in LOOPBACK:
        raise McpError(
            f"Without tokens, only this machine may call; not all that reach {options.host}.",
            hint="Give the options a TokenGate.",
        )
    face = HttpFace(server, options)
    accepting = web.Server(
        face.handle, handler_cancellation=True, access_log=None, auto_decompress=False
    )
    listening = await asyncio.get_running_loop().create_server(
        accepting, options.host, options.port
    )
    port = listening.sockets[0].getsockname()[1]
    host = f"[{options.host}]" if ":" in options.host else options.host
    face.url = options.public_url or f"http://{host}:{port}{options.path}"
    try:
        yield face.url
    finally:
        listening.close()
        face.close()
        await accepting.shutdown(1)
        await listening.wait_closed()


class HttpFace:
    """Answers HTTP requests from a server; `handle` is a handler of aiohttp."""

    def __init__(self, server: McpServer, options: HttpOptions) -> None:
        """Prepare to answer."""
        self.url = options.public_url or ""
        self.sessions = Sessions(server.host.context.clock)
        self._server = server
        self._options = options
        named = {urlsplit(options.public_url).hostname} if options.public_url else set[None]()
        self._hosts = LOOPBACK.union(options.hosts, filter(None, named))

    def close(self) -> None:
        """End all sessions and subscriptions."""
        self.sessions.close_all()
        self._server.host.subscriptions.end_all()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        try:
            self._check_source(request)
            if request.path.startswith(_WELL_KNOWN):
                return self._metadata(request)
            return await self._answer(request, self._admit(request))
        except _Refused as refused:
            return refused.response
        except ProtocolError as error:
            return _error_response(None, error)

    def _check_source(self, request: web.BaseRequest) -> None:
        host, origin = request.headers.get("Host", ""), request.headers.get("Origin")
        if not is_allowed_host(host, self._hosts):
            raise _Refused(403, "This is not the host that was asked for.")
        if origin is not None and not is_allowed_origin(origin, self._options.origins, self._hosts):
            raise _Refused(403, "Pages of this origin may not call.")

    def _metadata(self, request: web.BaseRequest) -> web.Response:
        """Say who gives out tokens for us (RFC 9728, section 3)."""
        if not self._options.gate.wants_credential or request.path not in {
            _WELL_KNOWN,
            _WELL_KNOWN + self._options.path,
        }:
            raise _Refused(404, "There is nothing here.")
        body = {
            "resource": self.url,
            "authorization_servers": list(self._options.authorization_servers),
            "bearer_methods_supported": ["header"],
        }
        return web.Response(body=msgspec.json.encode(body), content_type=_JSON)

    def _admit(self, request: web.BaseRequest) -> Principal:
        gate = self._options.gate
        if not gate.wants_credential:
            return gate.admit(None)
        said = request.headers.getall("Authorization", [])
        scheme, _, token = said[0].partition(" ") if len(said) == 1 else ("", "", "")
        credential = token.strip() if scheme.lower() == "bearer" and token.strip() else None
        try:
            return gate.admit(credential)
        except NotAdmittedError as error:
            place = urlsplit(self.url)
            known = f"{place.scheme}://{place.netloc}{_WELL_KNOWN}{self._options.path}"
            challenge = f'Bearer resource_metadata="{known}"'
            if credential is not None:
                challenge += ', error="invalid_token"'
            headers = {"WWW-Authenticate": challenge}
            raise _Refused(401, error.message, headers) from error

    async def _answer(self, request: web.BaseRequest, principal: Principal) -> web.StreamResponse:
        if request.path != self._options.path:
            raise _Refused(404, "There is nothing here.")
        if request.method == "POST":
            return await self._post(request, principal)
        session_id = request.headers.get(HEADER_SESSION)
        if session_id is None or request.method not in {"GET", "DELETE"}:
            raise _Refused(405, "POST a message here.", {"Allow": "POST"})
        session = self._session(session_id, principal)
        if request.method == "DELETE":
            self.sessions.close(session)
            return web.Response(status=204)
        return await self._listen(request, session)

    async def _post(self, request: web.BaseRequest, principal: Principal) -> web.StreamResponse:
        if request.content_type != _JSON or "Content-Encoding" in request.headers:
            raise _Refused(415, "A body is application/json, and not compressed.")
        if not accepts(request.headers.get("Accept"), _JSON, _EVENTS):
            raise _Refused(406, f"Accept has to take {_JSON} and {_EVENTS}.")
        body = await self._body(request)
        try:
            message = decode(body)
        except ProtocolError as error:
            return _error_response(id_in(body), error)
        params = cast("JsonObject", {} if message.params is msgspec.UNSET else message.params)
        try:
            if self._is_stateless(request, message, params):
                return await self._stateless(request, message, params, principal)
            return await self._in_session(request, message, params, principal)
        except ProtocolError as error:
            named = cast("RequestId", message.id) if message.is_request else None
            return _error_response(named, error)

    async def _body(self, request: web.BaseRequest) -> bytes:
        limit = self._options.max_body_bytes
        too_long = f"A message has at most {limit} bytes."
        if (request.content_length or 0) > limit:
            raise _Refused(413, too_long)
        if request.content.is_eof():  # It came with its head, as most do.
            body = request.content.read_nowait()
            if len(body) > limit:
                raise _Refused(413, too_long)
            return body
        parts, length = list[bytes](), 0
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while part := await request.content.readany():
                    length += len(part)
                    if length > limit:
                        raise _Refused(413, too_long)
                    parts.append(part)
        except TimeoutError as error:
            raise _Refused(408, "The body did not arrive in time.") from error
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _is_stateless(self, request: web.BaseRequest, message: Message, params: JsonObject) -> bool:
        if says_revision(params):
            return True
        said = request.headers.get(HEADER_REVISION)
        return (
            said is not None
            and said not in HANDSHAKE_REVISIONS
            and message.method != "initialize"
            and HEADER_SESSION not in request.headers
        )

    async def _stateless(
        self,
        request: web.BaseRequest,
        message: Message,
        params: JsonObject,
        principal: Principal,
    ) -> web.StreamResponse:
        if message.is_notification:
            check_stateless(request.headers.get(HEADER_REVISION, ""))
            return web.Response(status=202)
        if message.is_response:
            raise ProtocolError("A client sends requests and notifications.")
        method = cast("str", message.method)
        declared = declared_in(params)
        check_headers(request.headers, declared.revision, method, params)
        check_stateless(declared.revision)
        if method == "tools/call":
            wanted = self._server.host.headers.parameters_of(params.get("name"))
            check_parameters(request.headers, wanted, params)
        mailbox = Mailbox()
        exchange = Exchange(
            cast("RequestId", message.id),
            method,
            params,
            principal,
            mailbox,
            declared.revision,
            declared.capabilities,
        )
        return await self._respond(request, exchange, mailbox)

    async def _in_session(
        self,
        request: web.BaseRequest,
        message: Message,
        params: JsonObject,
        principal: Principal,
    ) -> web.StreamResponse:
        session_id = request.headers.get(HEADER_SESSION)
        if message.method == "initialize" and message.is_request and session_id is None:
            return self._begin(cast("RequestId", message.id), params, principal)
        if session_id is None:
            raise ProtocolError(f"{HEADER_SESSION} is missing, or {HEADER_REVISION}.")
        session = self._session(session_id, principal)
        if request.headers.get(HEADER_REVISION, session.revision) != session.revision:
            raise ProtocolError(f"The session speaks {session.revision}.")
        if message.is_response:
            session.resolve(message)
        elif message.method == "notifications/cancelled":
            session.cancel(params.get("requestId"))
        elif message.is_request:
            mailbox = Mailbox()
            exchange = Exchange(
                cast("RequestId", message.id),
                cast("str", message.method),
                params,
                principal,
                mailbox,
                session.revision,
                session.capabilities,
                session,
            )
            return await self._respond(request, exchange, mailbox)
        return web.Response(status=202)

    def _session(self, session_id: str, principal: Principal) -> Session:
        session = self.sessions.find(session_id, principal)
        if session is None:
            raise _Refused(404, "There is no such session.")
        return session

    def _begin(
        self, request_id: RequestId, params: JsonObject, principal: Principal
    ) -> web.Response:
        agreed = agreed_in(params)
        try:
            session = self.sessions.open(principal, agreed.revision, agreed.capabilities)
        except TooManySessionsError as error:
            raise _Refused(503, error.message, {"Retry-After": "10"}) from error
        self._server.host.subscriptions.join(session)
        return web.Response(
            body=encode_result(request_id, handshake_result(self._server.host, agreed)),
            content_type=_JSON,
            headers={HEADER_SESSION: session.id},
        )

    async def _respond(
        self, request: web.BaseRequest, exchange: Exchange, mailbox: Mailbox
    ) -> web.StreamResponse:
        self._server.receive(exchange)
        try:
            first = await mailbox.next_within(QUIET_SECONDS)
            if mailbox.is_over:
                return _last_response(first, mailbox.number if exchange.stateless else 0)
            return await _stream(request, mailbox, first)
        finally:
            mailbox.close()
            if exchange.stateless:
                self._server.cancel(exchange)

    async def _listen(self, request: web.BaseRequest, session: Session) -> web.StreamResponse:
        if not accepts(request.headers.get("Accept"), _EVENTS):
            raise _Refused(406, f"Accept has to take {_EVENTS}.")
        if session.outlet is not None:
            raise _Refused(409, "Somebody listens already.")
        session.outlet = mailbox = Mailbox()
        try:
            return await _stream(request, mailbox, b"")
        finally:
            mailbox.close()
            if session.outlet is mailbox:
                session.outlet = None


async def _stream(
    request: web.BaseRequest, mailbox: Mailbox, message: bytes | None
) -> web.StreamResponse:
    response = web.StreamResponse(headers=_STREAM_HEADERS)
    try:
        await response.prepare(request)
        while message is not None:
            event = b"event: message\ndata: %b\n\n" % message if message else b":\n\n"
            await response.write(event)
            message = await mailbox.next_within(QUIET_SECONDS)
        await response.write_eof()
    except ClientConnectionError:
        _log.debug("the client went away")
    return response


_STREAM_HEADERS: Final = {
    "Content-Type": _EVENTS,
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
}


def _last_response(message: bytes | None, number: int) -> web.Response:
    if message is None:  # The work was ended without an answer.
        return web.Response(status=202)
    status = STATUS.get(number, 200)
    return web.Response(status=status, body=message, content_type=_JSON)


def _error_response(request_id: RequestId | None, error: ProtocolError) -> web.Response:
    body = encode_error(request_id, error_object(error))
    return web.Response(status=STATUS.get(error.number, 400), body=body, content_type=_JSON)
