"""The tool `http_request`."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeAlias, get_args

import attrs
from msgspec import Meta

from toka.tools._deadline import timed_out
from toka.tools._errors import AddressDeniedError, HttpRequestError, InvalidArgumentsError
from toka.tools._typed import Output, TypedTool
from toka.tools.builtin._read_file import whole_characters
from toka.tools.http._addresses import Address, is_public
from toka.tools.http._url import Target, follow, parse_target
from toka.types import NANOSECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from toka.capability.core import Permission
    from toka.tools._context import Grants, ToolContext, Workspace
    from toka.tools.http._client import Exchange
    from toka.types import Json, JsonObject, SideEffect

MAX_REDIRECTS: Final = 5

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_REPEATS: Final = frozenset({"PUT", "DELETE"})

_LITERAL_HOST = re.compile(r"https?://(?:\[[^]*]+\]|[^/:*]+)(?::[^/]*)?(?:/|$)")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FIELD_VALUE = re.compile(r"[\x20-\x7e\x80-\xff\t]*")
# These say how the message is delimited, routed or kept open, which is not the caller's to decide.
_FRAMING: Final = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
# All that goes along to another origin; anything else may be a secret for this one.
_CARRIED: Final = frozenset({"accept", "accept-language", "content-type", "user-agent"})


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


@attrs.frozen
class _Hop:
    """One request of a chain of redirects."""

    method: str
    target: Target
    headers: dict[str, str]
    body: bytes


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
        import anyio  # noqa: PLC0415 - 40 ms at import

        timeout_ns = context.timeout_ns
        if arguments.timeout is not None:
            timeout_ns = min(timeout_ns, int(arguments.timeout * NANOSECONDS))
        limit = context.output_limit_bytes
        if arguments.max_bytes is not None:
            limit = min(limit, arguments.max_bytes)
        target = parse_target(arguments.url)
        hop = _Hop(arguments.method, target, _headers(arguments.headers), arguments.body.encode())
        with anyio.move_on_after(timeout_ns / NANOSECONDS):
            return await _chain(hop, context.granted, limit, follows=arguments.follow_redirects)
        raise timed_out(timeout_ns)


async def _chain(hop: _Hop, granted: Grants, limit: int, *, follows: bool) -> Output:
    from toka.tools.http._client import exchange  # noqa: PLC0415 - aiohttp costs 200 ms at import

    passed: list[Json] = []
    for _ in range(MAX_REDIRECTS + 1):
        answer = await exchange(
            hop.method,
            hop.target,
            hop.headers,
            hop.body,
            allows=_address_check(hop, granted),
            limit=limit,
        )
        location = answer.headers.get("location")
        if not follows or answer.status not in _REDIRECTS or location is None:
            return _output(hop, answer, passed)
        passed.append(hop.target.url)
        hop = _next_hop(hop, answer.status, follow(hop.target, location))
    raise HttpRequestError(
        f"{passed[0]} redirects more than {MAX_REDIRECTS} times.", details={"redirects": passed}
    )


def _address_check(hop: _Hop, granted: Grants) -> Callable[[Address], bool]:
    """Check the grant for one hop and return which addresses it may lead to."""
    request = hop.target.request(hop.method)
    permission = granted.covers(request)
    if permission is None:
        raise AddressDeniedError(
            f"{hop.target.origin} is outside what is granted.",
            hint=f"The call needs {request}.",
            details={"request": request},
        )
    host = hop.target.host
    if granted.covers(f"net:private:{host}"):
        return _any
    literal = _names_host(permission)
    if literal and hop.target.address is not None:
        return _any
    if literal and host == "localhost":
        return _loopback
    return is_public


def _any(_: Address) -> bool:
    return True


def _loopback(address: Address) -> bool:
    return address.is_loopback


def _names_host(permission: Permission) -> bool:
    return bool(_LITERAL_HOST.match(permission.resource))


def _next_hop(hop: _Hop, status: int, target: Target) -> _Hop:
    method, body = hop.method, hop.body
    # RFC 9110, sections 15.4.2 to 15.4.4: what every client does.
    if (status == 303 and method != "HEAD") or (status in (301, 302) and method == "POST"):  # noqa: PLR2004 - status codes
        method, body = "GET", b""
    headers = hop.headers
    if target.origin != hop.target.origin:
        headers = {name: value for name, value in headers.items() if name.lower() in _CARRIED}
    return _Hop(method, target, headers, body)


def _headers(given: dict[str, str]) -> dict[str, str]:
    for name, value in given.items():
        if not _TOKEN.fullmatch(name) or not _FIELD_VALUE.fullmatch(value):
            raise InvalidArgumentsError(
                f"{name[:80]!r} is not an HTTP header, or its value holds a control character."
            )
        if name.lower() in _FRAMING:
            raise InvalidArgumentsError(
                f"The header {name!r} is not the caller's to set.", hint="Leave it out."
            )
    defaults = {"Accept": "*/*", "Accept-Encoding": "gzip, deflate", "User-Agent": "toka-tools"}
    present = {name.lower() for name in given}
    return {k: v for k, v in defaults.items() if k.lower() not in present} | given


def _output(hop: _Hop, answer: Exchange, passed: list[Json]) -> Output:
    value: dict[str, Json] = {
        "status": answer.status,
        "headers": answer.headers,
        **_body(answer),
        "truncated": answer.truncated,
        "url": hop.target.url,
        "redirects": passed,
    }
    return Output(value, truncated=answer.truncated)


def _body(answer: Exchange) -> dict[str, Json]:
    charset = re.search(r"charset=\"?([A-Za-z0-9._-]+)", answer.headers.get("content-type", ""))
    encoding = charset[1].lower() if charset else "utf-8"
    data = answer.body
    if answer.truncated and encoding in ("utf-8", "utf8"):
        data = whole_characters(data)
    try:
        return {"body": data.decode(encoding)}
    except (LookupError, UnicodeError):
        return {"body_base64": base64.b64encode(answer.body).decode()}
