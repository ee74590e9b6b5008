"""Which server an operation is sent to."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from toka.tools._errors import AddressDeniedError
from toka.tools.http._url import parse_target
from toka.tools.openapi._errors import UnsupportedOperationError

if TYPE_CHECKING:
    from toka.tools.openapi._document import Document
    from toka.tools.openapi._options import OpenApiOptions
    from toka.types import Json, JsonObject

_EXPRESSION = re.compile(r"\{([^{}]*)\}")


def base_url(
    document: Document, places: tuple[JsonObject, ...], options: OpenApiOptions, url: str
) -> str:
    """Return the URL before the path: the first server of the nearest place that has any.

    Raises:
        UnsupportedOperationError: It is relative to nothing, has an unknown variable, or is no URL.
    """
    text = options.server or _written(document, places, options)
    if "://" not in text and not text.startswith("//"):
        if not url:
            raise UnsupportedOperationError(
                f"its server is {text[:120]!r}, which is relative", hint="Say which server it is."
            )
        text = urljoin(url, text)
    try:
        target = parse_target(text)
    except AddressDeniedError as error:
        raise UnsupportedOperationError(f"its server is no URL: {error.message}") from error
    if target.query or "?" in text or "#" in text:
        raise UnsupportedOperationError("the URL of its server has a query or a fragment")
    return target.url.rstrip("/")


def _written(document: Document, places: tuple[JsonObject, ...], options: OpenApiOptions) -> str:
    for place in places:
        servers = place.get("servers")
        if isinstance(servers, list) and servers:
            server = document.resolved(servers[0], "a server")
            return _filled(document, server, options)
    return "/"


def _filled(document: Document, server: JsonObject, options: OpenApiOptions) -> str:
    def value(match: re.Match[str]) -> str:
        return _variable(document, server, match[1], options)

    return _EXPRESSION.sub(value, str(server.get("url", "/")))


def _variable(document: Document, server: JsonObject, name: str, options: OpenApiOptions) -> str:
    variables = server.get("variables")
    said: Json = variables.get(name) if isinstance(variables, dict) else None
    known = document.resolved(said, f"the server variable {name[:80]}")
    value = options.variables.get(name, known.get("default"))
    allowed = known.get("enum")
    if not isinstance(value, str) or (isinstance(allowed, list) and value not in allowed):
        raise UnsupportedOperationError(f"the server variable {name[:80]} has no such value")
    return value
