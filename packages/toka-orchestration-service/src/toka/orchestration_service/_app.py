"""The application: the table of routes behind authentication, headers and problem documents."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import msgspec
from aiohttp import web

from toka.auth import AuthenticationError, auth_application, credential_of
from toka.capability.core import Claims
from toka.orchestration_service._call import MAX_BODY_BYTES, Call
from toka.orchestration_service._problems import problems
from toka.orchestration_service._routes import ROUTES
from toka.orchestration_service._traced import name_of, traced
from toka.orchestration_service.dashboard._mount import add_dashboard, is_page
from toka.orchestration_service.dashboard._session import session_token

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler, Middleware

    from toka.auth import Proof
    from toka.orchestration_service._route import Route
    from toka.orchestration_service._service import Service

_USUAL_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
"""Unless who answers says otherwise: how long keys may be kept, what pages load."""
_HEADERS: Final = {
    "Cross-Origin-Resource-Policy": "same-origin",
    "Server": "toka",
    "X-Content-Type-Options": "nosniff",
}
TOKENS: Final = "/auth"
"""Below this are the endpoints of tokens, where there are any."""
TOKEN_PATHS: Final = frozenset(
    f"{TOKENS}/{name}" for name in ("token", "introspect", "revoke", "jwks")
)
_CALLER: Final = web.RequestKey[tuple[str, Claims]]("caller", tuple)


def build_app(service: Service) -> web.Application:
    """Return the application of a service that is open."""
    app = web.Application(
        client_max_size=MAX_BODY_BYTES,
        middlewares=[traced(service), _metered(service), problems, _authenticated(service)],
    )
    app.on_response_prepare.append(_add_headers)
    for route in ROUTES:
        app.router.add_route(route.method, route.pattern, _endpoint(service, route))
    settings = service.settings
    if settings.endpoints is not None:
        tokens = auth_application(settings.endpoints, base_url=settings.public_url)
        app.add_subapp(TOKENS, tokens)
    add_dashboard(app, service)
    return app


async def _add_headers(_: web.Request, response: web.StreamResponse) -> None:
    for name, value in _USUAL_HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.update(_HEADERS)


def _metered(service: Service) -> Middleware:
    @web.middleware
    async def meter(request: web.Request, handler: Handler) -> web.StreamResponse:
        began = time.perf_counter()
        response = await handler(request)
        method, route = name_of(request)
        service.meter.observe(method, route, response.status, time.perf_counter() - began)
        return response

    return meter


def _authenticated(service: Service) -> Middleware:
    # The endpoints of tokens find out themselves who calls; for an exchange nobody has to be known.
    open_paths = {route.path for route in ROUTES if route.is_open}
    if service.settings.endpoints is not None:
        open_paths |= TOKEN_PATHS

    @web.middleware
    async def authenticate(request: web.Request, handler: Handler) -> web.StreamResponse:
        # Before it is known whether the address means anything: a stranger learns nothing.
        if request.path not in open_paths and not is_page(request.path):
            token, proof = _presented(request, service.settings.public_url)
            claims = await service.authenticator.authenticate_fetching(token, proof)
            request[_CALLER] = (token, claims)
        return await handler(request)

    return authenticate


def _presented(request: web.Request, public_url: str | None) -> tuple[str, Proof | None]:
    """Return the token of a request and its holder's proof (RFC 6750, 2.1; RFC 9449, 7.1).

    A browser presents it in the cookie of its session.

    Raises:
        AuthenticationError: There is no token, or more than one.
        ForeignRequest: Somebody else's page makes use of a session.
    """
    if "Authorization" in request.headers:
        token, proof = credential_of(request, base_url=public_url)
    else:
        token, proof = session_token(request, public_url), None
    if not token:
        raise AuthenticationError
    return token, proof


def _endpoint(service: Service, route: Route) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        token, claims = request.get(_CALLER, ("", None))
        call = Call(service, request, token, claims)
        if route.needs:
            call.require(route.needs.format(**call.parameters))
        if route.has_tag:
            return (await service.answers.get(call, route)).respond(request, route.media)
        answer = await route.handler(call)
        if isinstance(answer, web.StreamResponse):
            return answer
        response = web.Response(
            status=route.status, body=msgspec.json.encode(answer), content_type=route.media
        )
        if route.location:
            response.headers["Location"] = route.location.format(run=getattr(answer, "run", None))
        return response

    return handle
