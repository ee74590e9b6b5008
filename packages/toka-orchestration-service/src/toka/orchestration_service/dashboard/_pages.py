"""The table of pages: where each is, what shows it, and what it asks the API for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import attrs

from toka.orchestration_service._route import PATTERNS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from toka.orchestration_service.dashboard._api import Api

Context: TypeAlias = "dict[str, object]"


@attrs.frozen
class Page:
    """A page."""

    path: str
    template: str
    handler: Callable[[Api], Awaitable[Context]]
    section: str
    """Which entry of the navigation it belongs to."""
    live: str = ""
    """The events that change it: a query of `/v1/events`, with the path's parts in braces."""

    @property
    def pattern(self) -> str:
        """The path as the router takes it."""
        path = self.path
        for name, pattern in PATTERNS.items():
            path = path.replace(f"{{{name}}}", f"{{{name}:{pattern}}}")
        return path


async def runs(api: Api) -> Context:
    """Return the runs, newest first."""
    page = await api.get("/v1/runs", {"after": api.request.query.get("after", ""), "limit": "50"})
    return {"listed": page}


PAGES: Final = (Page("/ui/runs", "runs.html", runs, "runs"),)
"""Every page."""
