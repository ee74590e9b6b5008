"""Limits in front of an aiohttp application. Needs the extra `aiohttp`.

A middleware decides before a handler runs; a signal adds the fields when a response starts, which
is the last moment for a stream or a WebSocket and works for errors too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from toka.rate_limiter._client_address import ClientAddress
from toka.rate_limiter._decision import Decision
from toka.rate_limiter._fields import PROBLEM_TYPE, problem, response_fields

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from aiohttp import web
    from aiohttp.typedefs import Handler

    from toka.rate_limiter._async_limiter import AsyncLimiter


def limit_requests(
    app: web.Application,
    limiter: AsyncLimiter,
    *,
    facts: Callable[[web.Request], Mapping[str, str]] | None = None,
    cost: Callable[[web.Request], int] | None = None,
    addresses: ClientAddress | None = None,
    exempt: Iterable[str] = ("/health", "/metrics"),
) -> None:
    """Refuse requests to an application that are over a limit.

    The facts of a request are its `ip` (by the rules of `addresses`) and its `endpoint` (method
    and route, not the path: what clients make up must not make buckets), and what `facts` adds.

    Args:
        app: Must not have started.
        limiter: Decides.
        facts: Returns more facts of a request, for example its verified user; it should never
            trust a header by itself.
        cost: Returns what a request costs; 1 if left out.
        addresses: Knows our own proxies; if left out, the other end of the connection is the
            client.
        exempt: Exact paths that are not limited.
    """
    rules = addresses if addresses is not None else ClientAddress()
    free = frozenset(exempt)

    def all_facts(request: web.Request) -> dict[str, str]:
        known = {
            "ip": rules.of(request.remote, request.headers.getall("X-Forwarded-For", ())),
            "endpoint": _endpoint(request),
        }
        return {**known, **facts(request)} if facts is not None else known

    async def decide(request: web.Request) -> Decision:
        return await limiter.hit(all_facts(request), cost(request) if cost is not None else 1)

    _install(app, decide, free)


def _install(
    app: web.Application,
    decide: Callable[[web.Request], Awaitable[Decision]],
    exempt: frozenset[str],
) -> None:
    from aiohttp import web  # noqa: PLC0415 - an extra, and 150 ms at import

    decided = web.RequestKey("toka.rate_limiter.decision", Decision)

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path in exempt:
            return await handler(request)
        decision = request[decided] = await decide(request)
        if decision.admitted:
            return await handler(request)
        status, body = problem(decision)
        return web.Response(status=status, body=body, content_type=PROBLEM_TYPE)

    async def add_fields(request: web.Request, response: web.StreamResponse) -> None:
        decision = request.get(decided)
        if decision is not None:
            response.headers.update(response_fields(decision))

    app.middlewares.append(middleware)
    app.on_response_prepare.append(add_fields)


def _endpoint(request: web.Request) -> str:
    resource = request.match_info.route.resource
    route = resource.canonical if resource is not None else ""
    return f"{request.method} {route}"
