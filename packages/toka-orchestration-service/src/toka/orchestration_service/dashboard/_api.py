"""The REST API as pages ask it: the same handlers, under the token of the session.

A page sees what a client of the API would see, in the same JSON, and is refused what a client would
be refused. There is no other way for it to read anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import attrs
import msgspec
from multidict import CIMultiDict
from yarl import URL

from toka.orchestration_service._call import Call
from toka.orchestration_service._errors import Forbidden
from toka.orchestration_service._routes import ROUTES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import web

    from toka.capability.core import Claims
    from toka.orchestration_service._service import Service

Json: TypeAlias = Any
"""What an answer holds, once it is decoded; templates look into it, and fail at what is missing."""

_READS: Final = {route.path: route for route in ROUTES if route.method == "GET"}


@attrs.frozen
class _PageCall(Call):
    """A request of a page, with the parts of the path that it would have."""

    parts: Mapping[str, str] = attrs.field(factory=dict[str, str], kw_only=True)

    @property
    def parameters(self) -> dict[str, str]:
        return dict(self.parts)


@attrs.frozen
class Api:
    """The API for one request of a page."""

    service: Service
    request: web.Request
    token: str = attrs.field(repr=False)
    claims: Claims

    def part(self, name: str) -> str:
        """Return a part of the page's own path."""
        return self.request.match_info[name]

    async def get(self, path: str, query: Mapping[str, str] | None = None, **parts: str) -> Json:
        """Ask for a resource.

        Args:
            path: As in the table of routes, with the names of its parts.
            query: Parameters; those that are empty are left out.
            **parts: The parts of the path.

        Raises:
            TokaError: Whatever the API refuses with.
        """
        route = _READS[path]
        asked = URL.build(path="/", query={k: v for k, v in (query or {}).items() if v})
        request = self.request.clone(method="GET", rel_url=asked, headers=CIMultiDict[str]())
        call = _PageCall(self.service, request, self.token, self.claims, parts=parts)
        if route.needs:
            call.require(route.needs.format(**parts))
        return msgspec.json.decode(msgspec.json.encode(await route.handler(call)))

    async def get_if_allowed(
        self, path: str, query: Mapping[str, str] | None = None, **parts: str
    ) -> Json:
        """Ask for a resource that a page can do without; None if the token does not cover it."""
        try:
            return await self.get(path, query, **parts)
        except Forbidden:
            return None
