"""One HTTP exchange over a connection whose address was checked. Imported at the first request.

The address is looked up once, every answer is checked, and the connection goes to a checked answer:
the socket itself is made only for an address that passes, so nothing can resolve differently in
between. No proxy, no cookies, no redirects, no decompression beyond the limit.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import zlib
from typing import TYPE_CHECKING, Final

import aiohttp
import attrs
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from toka.tools._errors import AddressDeniedError, HttpRequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from toka.tools.http._addresses import Address
    from toka.tools.http._url import Target

    AddressInfo = tuple[
        int | socket.AddressFamily, int | socket.SocketKind, int, str, tuple[object, ...]
    ]
    AddressCheck = Callable[[Address], bool]

_CHUNK: Final = 1 << 16
_WINDOW_BITS: Final = {"gzip": 31, "x-gzip": 31, "deflate": 15}


@attrs.frozen
class Exchange:
    """What came back."""

    status: int
    headers: dict[str, str]
    """Names in lower case; repeated ones joined by commas (RFC 9110, section 5.3)."""
    body: bytes
    truncated: bool


@attrs.frozen
class _Guard:
    """Refuses addresses, at look-up and again where a socket is made."""

    host: str
    allows: AddressCheck

    def check(self, text: str) -> None:
        if not self.allows(ipaddress.ip_address(text.partition("%")[0])):
            raise AddressDeniedError(
                f"{self.host} leads to {text}, which is not a public address.",
                hint="For a host inside your network, grant net:private:HOST too.",
                details={"host": self.host, "address": text},
            )

    def make_socket(self, info: AddressInfo) -> socket.socket:
        family, kind, protocol, _, address = info
        self.check(str(address[0]))
        return socket.socket(family, kind, protocol)


class _Resolver(AbstractResolver):
    def __init__(self, guard: _Guard) -> None:
        self._guard = guard

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
        # One bad answer among good ones is an attempt, so it refuses them all.
        for *_, address in found:
            self._guard.check(str(address[0]))
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST,
            )
            for kind, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        """Nothing is held."""


def checked_connector(
    host: str, allows: AddressCheck, *, force_close: bool = False
) -> aiohttp.TCPConnector:
    """Return what connects to a host only where its address is allowed.

    Args:
        host: Its name, for errors.
        allows: Decides about an address.
        force_close: Whether each connection is for one request.
    """
    guard = _Guard(host, allows)
    return aiohttp.TCPConnector(
        resolver=_Resolver(guard),
        socket_factory=guard.make_socket,
        use_dns_cache=False,
        force_close=force_close,
    )


async def exchange(
    method: str,
    target: Target,
    headers: Mapping[str, str],
    body: bytes,
    *,
    allows: AddressCheck,
    limit: int,
) -> Exchange:
    """Send one request and read the answer, to `limit` bytes of body.

    A request that HTTP calls idempotent is sent a second time if the connection closes before
    anything comes back.

    Raises:
        AddressDeniedError: The host has an address that is not allowed.
        HttpRequestError: There was no complete answer.
    """
    connector = checked_connector(target.host, allows, force_close=True)
    try:
        async with (
            aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
                auto_decompress=False,
                trust_env=False,
            ) as session,
            session.request(
                method,
                URL(target.url, encoded=True),
                headers=headers,
                data=body or None,
                allow_redirects=False,
                skip_auto_headers=("Content-Type", "User-Agent"),
            ) as response,
        ):
            content, truncated = await _read(response, limit)
            return Exchange(response.status, _plain(response.headers), content, truncated)
    except (aiohttp.ClientError, OSError, ValueError, zlib.error) as error:
        # Without its cause, whose text may hold the whole URL, and that a key.
        raise HttpRequestError(
            f"{method} {target.origin}{target.path} failed: {_reason(error)}.",
            details={"origin": target.origin, "error": type(error).__name__},
        ) from None


def _plain(headers: Mapping[str, str]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in headers.items():
        key = name.lower()
        joined[key] = f"{joined[key]}, {value}" if key in joined else value
    return joined


async def _read(response: aiohttp.ClientResponse, limit: int) -> tuple[bytes, bool]:
    """Return the decoded body, at most `limit` bytes of it, and whether there is more."""
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    bits = _WINDOW_BITS.get(encoding)
    decoder = None if bits is None else zlib.decompressobj(bits)
    body, received = bytearray(), 0
    async for chunk in response.content.iter_chunked(_CHUNK):
        received += len(chunk)
        room = limit + 1 - len(body)
        # Bounded here, because a few bytes of gzip can stand for a gigabyte.
        body += chunk[:room] if decoder is None else decoder.decompress(chunk, room)
        if len(body) > limit:
            return bytes(body[:limit]), True
    if decoder is not None and received and not decoder.eof:
        raise ValueError("the compressed body ends early")
    return bytes(body), False


def _reason(error: Exception) -> str:
    text = error.message if isinstance(error, aiohttp.ClientResponseError) else str(error)
    text = " ".join(text.split()).rstrip(".:")
    return f"{type(error).__name__}: {text}"[:300] if text else type(error).__name__
