"""Templates: every value is escaped, every missing one is an error, nothing is allowed inline."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import jinja2
import msgspec
from aiohttp import web
from markupsafe import Markup

from toka.orchestration_service.dashboard import _format
from toka.types import is_entity_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toka.orchestration_service.dashboard._assets import Assets

FOLDER: Final = Path(__file__).parent / "templates"
GIST: Final = 240
"""Characters of a value that a line of a list shows."""
THEME_COOKIE: Final = "toka_theme"
_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
        " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none';"
        " require-trusted-types-for 'script'; trusted-types toka-page"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    # Not no-referrer: with that, browsers hide from us where our own forms come from.
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}


class Templates:
    """The templates of the wheel."""

    def __init__(self, assets: Assets, version: str) -> None:
        # Jinja rather than strings put together: what is escaped is decided once, here, and not by
        # each of some hundred places that show something an agent wrote.
        self._environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(FOLDER),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            finalize=_finalize,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        # Jinja annotates both as bare dicts.
        self._environment.globals.update(  # pyright: ignore[reportUnknownMemberType] - see above
            assets=assets.base, version=version
        )
        self._environment.filters.update(  # pyright: ignore[reportUnknownMemberType] - see above
            ago=_format.ago,
            between=_format.between,
            bytes=_format.size,
            count=_format.count,
            duration=_format.duration,
            money=_format.money,
            gist=_gist,
            is_id=is_entity_id,
            pretty=_pretty,
            short=_format.short,
        )

    def response(
        self, template: str, context: Mapping[str, object], *, status: int = 200
    ) -> web.Response:
        """Return a page."""
        text = self._environment.get_template(template).render(**context, now=time.time())
        return web.Response(status=status, text=text, content_type="text/html", headers=_HEADERS)


def theme_of(request: web.Request) -> str:
    """Return which colours somebody chose; empty for what the system has."""
    theme = request.cookies.get(THEME_COOKIE, "")
    return theme if theme in ("light", "dark") else ""


def _finalize(value: object) -> object:
    """Make visible what hides in a text, before it is escaped; what is markup already is ours."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return _format.visible(value)
    return value


def _gist(value: object) -> str:
    """Return the beginning of a value, on one line."""
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= GIST else f"{text[:GIST]}…"


def _pretty(value: object) -> str:
    """Return a value as JSON that people can read."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
