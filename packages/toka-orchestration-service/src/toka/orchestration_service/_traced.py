"""Requests as spans, for whoever follows what the runtime does; and the names that they go by."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from aiohttp import web

from toka.orchestration_service._routes import ROUTES

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler, Middleware

    from toka.orchestration_service._service import Service


def name_of(request: web.Request) -> tuple[str, str]:
    """Return the method and the route of a request, each one of few."""
    resource = request.match_info.route.resource
    if resource is None:
        # An address that is not in the table must not become a label: there is no end of them.
        return "other", "other"
    canonical = resource.canonical
    return request.method, canonical.partition(":")[0] + "}" if ":" in canonical else canonical


def traced(service: Service) -> Middleware:
    """Return what makes a span of each request, within the trace that the request tells of.

    Signs of life are left out: they come every few seconds and tell nothing.
    """
    untold = frozenset(route.path for route in ROUTES if route.is_open)

    @web.middleware
    async def trace(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path in untold:
            return await handler(request)
        tracing = service.runtime.tracing
        method, route = name_of(request)
        said = {"http.request.method": method, "http.route": route}
        parent = request.headers.get("traceparent", "")
        with tracing.span(f"{method} {route}", said, parent=parent, kind="server"):
            response = await handler(request)
            tracing.annotate({"http.response.status_code": response.status})
            if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                tracing.annotate({"error.type": str(response.status)})
            return response

    return trace
