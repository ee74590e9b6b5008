"""One request and the redirects that it leads to, each granted and each to checked addresses."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import attrs

from toka.tools._deadline import timed_out
from toka.tools._errors import AddressDeniedError, HttpRequestError, InvalidArgumentsError
from toka.tools.http._addresses import Address, is_public
from toka.tools.http._url import Target, follow
from toka.types import NANOSECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from toka.capability.core import Permission
    from toka.tools._context import Grants
    from toka.tools.http._client import Exchange

MAX_REDIRECTS: Final = 5

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})

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


@attrs.frozen
class Hop:
    """One request of a chain of redirects."""

    method: str
    target: Target
    headers: dict[str, str] = attrs.field(repr=False)
    body: bytes = attrs.field(repr=False)


@attrs.frozen
class Answer:
    """What the last request of a chain brought."""

    exchange: Exchange
    target: Target
    """Where it came from."""
    redirects: tuple[str, ...]
    """The URLs that led there."""


async def send(
    hop: Hop, granted: Grants, *, limit: int, timeout_ns: int, follows: bool = True
) -> Answer:
    """Send a request, to `limit` bytes of body, and follow where it is redirected to.

    Raises:
        AddressDeniedError: A hop is not granted, or leads to an address that is not allowed.
        HttpRequestError: There was no complete answer, or too many redirects.
        ToolTimeoutError: It took longer than it may.
    """
    import anyio  # noqa: PLC0415 - 40 ms at import

    with anyio.move_on_after(timeout_ns / NANOSECONDS):
        return await _chain(hop, granted, limit, follows=follows)
    raise timed_out(timeout_ns)


async def _chain(hop: Hop, granted: Grants, limit: int, *, follows: bool) -> Answer:
    from toka.tools.http._client import exchange  # noqa: PLC0415 - aiohttp costs 200 ms at import

    passed: list[str] = []
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
            return Answer(answer, hop.target, tuple(passed))
        passed.append(hop.target.url)
        hop = _next_hop(hop, answer.status, follow(hop.target, location))
    # Without the queries, which may hold a key.
    places = [url.partition("?")[0] for url in passed]
    raise HttpRequestError(
        f"{places[0]} redirects more than {MAX_REDIRECTS} times.", details={"redirects": [*places]}
    )


def _address_check(hop: Hop, granted: Grants) -> Callable[[Address], bool]:
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


def _next_hop(hop: Hop, status: int, target: Target) -> Hop:
    method, body = hop.method, hop.body
    # RFC 9110, sections 15.4.2 to 15.4.4: what every client does.
    if (status == 303 and method != "HEAD") or (status in (301, 302) and method == "POST"):  # noqa: PLR2004 - status codes
        method, body = "GET", b""
    headers = hop.headers
    if target.origin != hop.target.origin:
        headers = {name: value for name, value in headers.items() if name.lower() in _CARRIED}
    return Hop(method, target, headers, body)


def check_headers(given: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of a request, with the usual ones where they are not given.

    Raises:
        InvalidArgumentsError: One is no header, or says how the message is delimited or routed.
    """
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
    return {k: v for k, v in defaults.items() if k.lower() not in present} | dict(given)
