"""An agent as a server of the protocol: its card, and its tasks behind a gate.

The official SDK speaks the protocol, 1.0 and 0.3. What is here stands before it: who may come in is
decided from the header, before a byte of the body is read, and a body has a length. Push
notifications are not offered: they would let a caller choose where this server sends requests.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, cast

import attrs
from a2a.auth.user import User
from a2a.extensions.common import HTTP_EXTENSION_HEADER, get_requested_extensions
from a2a.server.context import ServerCallContext
from a2a.server.request_handlers import DefaultRequestHandlerV2
from a2a.server.routes import (
    ServerCallContextBuilder,
    create_agent_card_routes,
    create_jsonrpc_routes,
)
from a2a.types import (
    AgentCapabilities,
    AgentCard,
    AgentInterface,
    AgentSkill,
    HTTPAuthSecurityScheme,
    SecurityRequirement,
    SecurityScheme,
    StringList,
)
from a2a.utils.constants import VERSION_HEADER
from starlette.applications import Starlette
from starlette.responses import JSONResponse

from toka.tools.a2a._errors import CallerRefusedError
from toka.tools.a2a._executor import CALLER, NewsExecutor
from toka.tools.a2a._store import BoundedTaskStore

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from toka.tools.a2a._agent import Agent
    from toka.tools.a2a._gate import Caller, TokenGate

CARD_PATH: Final = "/.well-known/agent-card.json"
_SCHEME: Final = "capability"
# Then a task that waits for an answer is in the store alone.
_IDLE_SECONDS: Final = 60.0


@attrs.frozen
class Skill:
    """One thing that an agent can do, for those who look for one that can."""

    id: str
    name: str
    description: str
    tags: tuple[str, ...] = ("agent",)
    """The protocol wants one at least."""
    examples: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class AgentOptions:
    """What an agent's card says, and how much it does at once."""

    name: str
    description: str
    url: str
    """The agent's address as its callers see it: where the application is mounted."""
    version: str = "1"
    skills: tuple[Skill, ...] = ()
    max_body_bytes: int = 1 << 20
    max_running: int = 32
    """Tasks at once; further ones are rejected."""
    max_kept: int = 1_000
    """Of each caller: tasks that have ended, or wait for an answer, and are still known."""
    max_kept_bytes: int = 64 << 20
    """Of the same tasks together, as the protocol writes them; the last one is always known."""


def agent_card(options: AgentOptions) -> AgentCard:
    """Return the card of an agent that wants a bearer token."""
    modes = ["text/plain", "application/json"]
    skills = options.skills or (Skill("talk", options.name, options.description),)
    return AgentCard(
        name=options.name,
        description=options.description,
        version=options.version,
        supported_interfaces=[
            AgentInterface(url=options.url, protocol_binding="JSONRPC", protocol_version=version)
            for version in ("1.0", "0.3")
        ],
        capabilities=AgentCapabilities(streaming=True, push_notifications=False),
        default_input_modes=modes,
        default_output_modes=modes,
        skills=[
            AgentSkill(
                id=each.id,
                name=each.name,
                description=each.description,
                tags=each.tags,
                examples=each.examples,
            )
            for each in skills
        ],
        security_schemes={
            _SCHEME: SecurityScheme(
                http_auth_security_scheme=HTTPAuthSecurityScheme(
                    scheme="bearer", description="A capability token."
                )
            )
        },
        security_requirements=[SecurityRequirement(schemes={_SCHEME: StringList()})],
    )


def agent_app(agent: Agent, gate: TokenGate, options: AgentOptions) -> ASGIApp:
    """Return an ASGI application that serves an agent.

    Args:
        agent: What answers.
        gate: Who may ask.
        options: What the card says.
    """
    card = agent_card(options)
    handler = DefaultRequestHandlerV2(
        NewsExecutor(agent, options.max_running),
        BoundedTaskStore(options.max_kept, options.max_kept_bytes),
        card,
        interrupted_task_timeout=_IDLE_SECONDS,
    )

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        yield
        await handler.aclose()

    routes = [
        *create_agent_card_routes(card),
        *create_jsonrpc_routes(handler, "/", _Contexts(), enable_v0_3_compat=True),
    ]
    return _Door(Starlette(routes=routes, lifespan=lifespan), gate, options.max_body_bytes)


class _CallerUser(User):
    """A caller as the SDK's stores know their owners."""

    def __init__(self, name: str) -> None:
        self._name = name

    @property
    def is_authenticated(self) -> bool:
        return True

    @property
    def user_name(self) -> str:
        return self._name


class _Contexts(ServerCallContextBuilder):
    """Hands the caller on, and of the headers only those of the protocol: none holds a token."""

    def build(self, request: Request) -> ServerCallContext:
        caller = cast("Caller", request.scope[CALLER])
        version = request.headers.get(VERSION_HEADER, "")
        extensions = request.headers.getlist(HTTP_EXTENSION_HEADER)
        return ServerCallContext(
            user=_CallerUser(caller.name),
            state={CALLER: caller, "headers": {VERSION_HEADER: version}},
            requested_extensions=get_requested_extensions(extensions),
        )


@attrs.frozen(eq=False)
class _Door:
    """Stands before the application: the card is for everybody, the rest for admitted callers."""

    app: ASGIApp
    gate: TokenGate
    max_body_bytes: int

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].endswith(CARD_PATH):
            await self.app(scope, receive, send)
            return
        headers = _headers(scope)
        try:
            scope[CALLER] = self.gate.admit(_bearer(headers))
        except CallerRefusedError as error:
            refused = _refusal(error, has_token="authorization" in headers)
            await refused(scope, receive, send)
            return
        body = await _body(receive, self.max_body_bytes)
        if body is None:
            await _too_long(self.max_body_bytes)(scope, receive, send)
            return
        await self.app(scope, _replayed(body, receive), send)


async def _body(receive: Receive, limit: int) -> bytes | None:
    """Return a body, or None as soon as it is longer than it may be."""
    body = bytearray()
    while True:
        message = await receive()
        body += cast("bytes", message.get("body", b""))
        if len(body) > limit:
            return None
        if not message.get("more_body", False):
            return bytes(body)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Return what gives the body once, and then whatever the connection has to say."""
    parts: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return parts.pop() if parts else await receive()

    return replay


def _headers(scope: Scope) -> dict[str, str]:
    pairs = cast("list[tuple[bytes, bytes]]", scope["headers"])
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in pairs}


def _bearer(headers: Mapping[str, str]) -> str | None:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def _refusal(error: CallerRefusedError, *, has_token: bool) -> JSONResponse:
    status = 403 if error.code == "tools.a2a_not_granted" else 401
    reason = ', error="invalid_token"' if has_token and status == 401 else ""  # noqa: PLR2004 - RFC 6750
    problem = {"title": "Refused", "status": status, "code": error.code, "detail": error.message}
    return JSONResponse(
        problem,
        status,
        {"WWW-Authenticate": f"Bearer{reason}"},
        "application/problem+json",
    )


def _too_long(limit: int) -> JSONResponse:
    detail = f"A message has at most {limit} bytes."
    problem = {"title": "Too long", "status": 413, "detail": detail}
    return JSONResponse(problem, 413, media_type="application/problem+json")
