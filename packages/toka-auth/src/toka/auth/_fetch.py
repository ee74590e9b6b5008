"""Fetching a small JSON document from an issuer, with nothing left to the issuer's goodwill."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import urlsplit

from toka.auth._errors import OutsideKeysError

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

MAX_DOCUMENT_BYTES: Final = 262_144
FETCH_SECONDS: Final = 5.0

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class Fetch(Protocol):
    """Fetches a document."""

    async def __call__(self, url: str) -> bytes:
        """Return what is at `url`.

        Raises:
            OutsideKeysError: It cannot be fetched.
        """
        ...


class HttpFetch:
    """Fetches over HTTPS: no redirects, a bounded size, a bounded time."""

    def __init__(self, session: ClientSession) -> None:
        self._session = session

    async def __call__(self, url: str) -> bytes:
        """Return what is at `url`.

        Raises:
            OutsideKeysError: The URL is not https (http is for this machine only), or the answer
                is anything but 200 with a body of up to 256 KiB within five seconds.
        """
        import aiohttp  # noqa: PLC0415 - slow to import, and only needed where issuers are outside

        check_url(url)
        timeout = aiohttp.ClientTimeout(total=FETCH_SECONDS)
        try:
            async with self._session.get(url, allow_redirects=False, timeout=timeout) as response:
                if response.status != 200:  # noqa: PLR2004 - OK
                    raise _unusable(url, f"answers with status {response.status}")
                return await _body(response, url)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _unusable(url, f"cannot be reached ({type(error).__name__})") from error


async def _body(response: ClientResponse, url: str) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_chunked(65_536):
        body += chunk
        if len(body) > MAX_DOCUMENT_BYTES:
            raise _unusable(url, f"sends more than {MAX_DOCUMENT_BYTES} bytes")
    return bytes(body)


def check_url(url: str) -> None:
    """Refuse a URL that is not https, or http to this machine.

    Raises:
        OutsideKeysError: It is not.
    """
    parts = urlsplit(url)
    local = parts.scheme == "http" and parts.hostname in _LOOPBACK
    if not (parts.scheme == "https" or local) or not parts.hostname or parts.username:
        raise OutsideKeysError(
            f"{url[:200]!r} is not an https URL.", hint="Name the issuer as its tokens do."
        )


def _unusable(url: str, why: str) -> OutsideKeysError:
    return OutsideKeysError(f"{url[:200]} {why}.", details={"url": url[:200]})
