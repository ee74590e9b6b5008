"""HTTP for guests: the tool for agents, with all its checks, behind the machine's host call."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from toka.cvm import HttpReply
from toka.tools._errors import ToolError
from toka.types import NANOSECONDS

if TYPE_CHECKING:
    from toka.cvm import HttpHandler, HttpRequest
    from toka.tools._context import ToolContext
    from toka.tools._result import ToolResult
    from toka.types import Json


def http_handler(context: ToolContext) -> HttpHandler:
    """Return what does the requests of a guest: `http_request`, under what `context` grants.

    It follows no redirects: the guest asks for the next URL itself, under its own grants.
    """

    def handle(request: HttpRequest, timeout_seconds: float) -> HttpReply:
        import anyio  # noqa: PLC0415 - 40 ms at import

        within = attrs.evolve(context, timeout_ns=max(int(timeout_seconds * NANOSECONDS), 1))
        try:
            return _reply(anyio.run(_call, _arguments(request), within))
        except ToolError as error:
            raise OSError(error.code) from error

    return handle


def _arguments(request: HttpRequest) -> dict[str, Json]:
    try:
        body = request.body.decode()
    except UnicodeDecodeError:
        raise OSError("The body of the request is no text.") from None
    return {
        "url": request.url,
        "method": request.method,
        "headers": dict[str, "Json"](request.headers),
        "body": body,
        "follow_redirects": False,
    }


async def _call(arguments: dict[str, Json], context: ToolContext) -> ToolResult:
    from toka.tools._registry import ToolRegistry  # noqa: PLC0415 - only guests with a network

    return await ToolRegistry.builtin().call("http_request", arguments, context)


def _reply(called: ToolResult) -> HttpReply:
    from base64 import b64decode  # noqa: PLC0415 - only guests with a network

    value = called.value
    if not isinstance(value, dict) or not isinstance(value["status"], int):
        raise OSError("The reply is not one of HTTP.")
    headers, text = value["headers"], value.get("body")
    body = b64decode(str(value["body_base64"])) if text is None else str(text).encode()
    pairs = headers.items() if isinstance(headers, dict) else ()
    return HttpReply(value["status"], tuple([(name, str(one)) for name, one in pairs]), body)
