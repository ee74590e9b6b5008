"""The tool `http_request`."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeAlias, get_args

import attrs
from msgspec import Meta

from toka.tools._typed import Output, TypedTool
from toka.tools.builtin._read_file import whole_characters
from toka.tools.http._charset import charset_label, find_charset
from toka.tools.http._request import Answer, Hop, check_headers, send
from toka.tools.http._url import parse_target
from toka.types import NANOSECONDS

if TYPE_CHECKING:
    from toka.tools._context import ToolContext, Workspace
    from toka.tools.http._client import Exchange
    from toka.types import Json, JsonObject, SideEffect

_READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_REPEATS: Final = frozenset({"PUT", "DELETE"})

Method: TypeAlias = Literal["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"]


@attrs.frozen
class HttpRequestArguments:
    """Arguments of `http_request`."""

    url: Annotated[str, Meta(description="An http or https URL, without user and password.")]
    method: Method = "GET"
    headers: dict[str, str] = attrs.field(factory=dict[str, str])
    body: Annotated[str, Meta(description="Text, sent as UTF-8.")] = ""
    timeout: Annotated[Annotated[float, Meta(gt=0)] | None, Meta(description="Seconds.")] = None
    max_bytes: Annotated[
        Annotated[int, Meta(ge=0)] | None, Meta(description="Of the body, decompressed.")
    ] = None
    follow_redirects: Annotated[
        bool, Meta(description="Each target must be granted like the first.")
    ] = True


class HttpRequest(TypedTool[HttpRequestArguments]):
    """Sends an HTTP request to an address that is checked at every hop."""

    name = "http_request"
    description = (
        "Send an HTTP request. Returns `status`, `headers` (names in lower case) and `body`, or"
        " `body_base64` if it is no text. A status such as 404 is a result."
    )
    side_effect: SideEffect = "external"
    actions = tuple(f"net:{method.lower()}" for method in get_args(Method))
    kind = HttpRequestArguments

    def effect_of(self, arguments: JsonObject) -> SideEffect:
        """Return what HTTP says about the method (RFC 9110, section 9.2)."""
        method = arguments.get("method", "GET")
        if method in _READS:
            return "read_only"
        return "idempotent" if method in _REPEATS else "external"

    def needs(self, arguments: HttpRequestArguments, workspace: Workspace) -> tuple[str, ...]:  # noqa: ARG002 - no files
        return (parse_target(arguments.url).request(arguments.method),)

    async def run(self, arguments: HttpRequestArguments, context: ToolContext) -> Output:
        timeout_ns = context.timeout_ns
        if arguments.timeout is not None:
            timeout_ns = min(timeout_ns, int(arguments.timeout * NANOSECONDS))
        limit = context.output_limit_bytes
        if arguments.max_bytes is not None:
            limit = min(limit, arguments.max_bytes)
        hop = Hop(
            arguments.method,
            parse_target(arguments.url),
            check_headers(arguments.headers),
            arguments.body.encode(),
        )
        follows = arguments.follow_redirects
        answer = await send(
            hop, context.granted, limit=limit, timeout_ns=timeout_ns, follows=follows
        )
        return _output(answer)


def _output(answer: Answer) -> Output:
    exchange = answer.exchange
    value: dict[str, Json] = {
        "status": exchange.status,
        "headers": exchange.headers,
        **_body(exchange),
        "truncated": exchange.truncated,
        "url": answer.target.url,
        "redirects": list(answer.redirects),
    }
    return Output(value, truncated=exchange.truncated)


def _body(answer: Exchange) -> dict[str, Json]:
    label = charset_label(answer.headers.get("content-type", ""))
    encoding = "utf-8" if label is None else find_charset(label)
    data = answer.body
    if answer.truncated and encoding == "utf-8":
        data = whole_characters(data)
    try:
        if encoding is not None:
            return {"body": data.decode(encoding)}
    except UnicodeError:
        pass  # It is not what its sender says, so it is given as the bytes that it is.
    return {"body_base64": base64.b64encode(answer.body).decode()}
