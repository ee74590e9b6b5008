"""HTTP, as far as models need it: post JSON, read the answer whole or bit by bit, within limits.

aiohttp's exceptions can hold the request's headers, and so the key. They end here: a failure is
raised outside the handler, and not from a context manager, which would do the same: so it neither
shows nor carries the original.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, TypeVar

import attrs

from toka.llm_gateway._errors import (
    CallFailed,
    ConnectionFailed,
    ModelTimeout,
    ResponseInvalid,
    ResponseTooLarge,
    StreamInterrupted,
    TimeoutPhase,
)
from toka.types import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Mapping

    import aiohttp
    from yarl import URL

    from toka.llm_gateway.http._signature import Signer

T = TypeVar("T")

_MAX_CONNECTIONS: Final = 1000


@attrs.frozen
class Timeouts:
    """How long to wait for what, in seconds.

    Raises:
        InvalidValueError: A limit is not above zero.

    """

    connect: float = 5.0
    """For a connection, name resolution and TLS included."""
    first_token: float = 120.0
    """Of a stream: from the request to the first piece of content; pings do not count."""
    idle: float = 60.0
    """Of a stream: between two reads, once content flows."""
    total: float = 600.0
    """For the whole call, all its tries and waits included."""

    def __attrs_post_init__(self) -> None:
        if min(self.connect, self.first_token, self.idle, self.total) <= 0:
            raise InvalidValueError("A time limit must be above zero.")


@attrs.frozen
class Deadline:
    """A moment of the event loop's clock, and the limit that it stands for."""

    at: float
    phase: TimeoutPhase

    @classmethod
    def after(cls, seconds: float, phase: TimeoutPhase) -> Deadline:
        """Return the moment in `seconds` from now."""
        import asyncio  # noqa: PLC0415 - 20 ms at import; whoever calls a model has it loaded

        return cls(asyncio.get_running_loop().time() + seconds, phase)

    def sooner(self, seconds: float, phase: TimeoutPhase) -> Deadline:
        """Return this moment, or the one in `seconds` if it comes before."""
        other = Deadline.after(seconds, phase)
        return other if other.at < self.at else self

    def failure(self) -> ModelTimeout:
        """Return the error that says this moment has passed."""
        return ModelTimeout(
            f"The provider did not answer in time (limit: {self.phase}).",
            details={"phase": self.phase},
        )


class HttpAnswer:
    """An answer whose headers are here and whose body is on its way."""

    __slots__ = ("_limit", "_response", "_size")

    def __init__(self, response: aiohttp.ClientResponse, limit: int) -> None:
        self._response = response
        self._limit = limit
        self._size = 0

    @property
    def status(self) -> int:
        return self._response.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._response.headers

    @property
    def content_type(self) -> str:
        return self._response.content_type

    async def read_some(self, deadline: Deadline) -> bytes:
        """Return what has arrived, waiting for something; empty at the end.

        Raises:
            ModelTimeout: Nothing arrived before the deadline.
            StreamInterrupted: The connection broke.
            ResponseTooLarge: The body exceeds the limit.

        """
        chunk = await _within(deadline, self._response.content.readany(), reading=True)
        self._size += len(chunk)
        if self._size > self._limit:
            raise ResponseTooLarge(
                f"The provider's answer is larger than {self._limit} bytes.",
                details={"limit_bytes": self._limit},
            )
        return chunk

    async def read(self, deadline: Deadline) -> bytes:
        """Return the whole body.

        Raises:
            ModelTimeout: The body did not end before the deadline.
            StreamInterrupted: The connection broke.
            ResponseTooLarge: The body exceeds the limit.

        """
        chunks: list[bytes] = []
        while chunk := await self.read_some(deadline):
            chunks.append(chunk)
            if self._response.content.at_eof():
                # To wait for the end would cost as much as to wait for the answer.
                break
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)


class Transport:
    """Keeps connections to one provider. Belongs to the event loop that first uses it."""

    def __init__(
        self,
        base_url: str,
        timeouts: Timeouts,
        max_response_bytes: int,
        signer: Signer | None = None,
    ) -> None:
        self._base_url: Final = base_url
        self._signer: Final = signer
        self._timeouts: Final = timeouts
        self._limit: Final = max_response_bytes
        self._session: aiohttp.ClientSession | None = None

    @asynccontextmanager
    async def post(
        self, path: str, body: bytes, headers: Mapping[str, str], deadline: Deadline
    ) -> AsyncGenerator[HttpAnswer, None]:
        """Send a request and give the answer as soon as its headers are here.

        Redirects are not followed: they would carry the key elsewhere.

        Raises:
            ModelTimeout: No signature, no connection or no headers before the deadline.
            ConnectionFailed: No connection, or it broke before the headers.
            ResponseInvalid: What came is not HTTP.
            AuthenticationFailed: There is nothing to sign with.

        """
        url: str | URL = self._base_url + path
        if self._signer is not None:
            # Finding credentials may mean asking a server that is silent.
            signing = self._signer.sign(str(url), headers, body)
            headers = await _within(deadline, signing, reading=False)
            url = _as_signed(str(url))
        session = self._session or self._open()
        request = session.post(url, data=body, headers=headers, allow_redirects=False)
        response = await _within(deadline, request, reading=False)
        try:
            yield HttpAnswer(response, self._limit)
        finally:
            # Back to the pool if the body was read to its end, else closed: an answer that nobody
            # reads must not be mistaken for the next one.
            response.release()

    async def aclose(self) -> None:
        """Close all connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _open(self) -> aiohttp.ClientSession:
        import aiohttp  # noqa: PLC0415 - costs 200 ms at import; a scripted model never needs it

        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=_MAX_CONNECTIONS),
            # All other limits are deadlines of ours; see `_within`.
            timeout=aiohttp.ClientTimeout(
                total=None, connect=self._timeouts.connect, sock_connect=self._timeouts.connect
            ),
            # A compressed answer saves little here and can swell beyond its limit.
            headers={"Content-Type": "application/json", "Accept-Encoding": "identity"},
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self._session


def _as_signed(url: str) -> URL:
    """Return an address that goes out with the very octets that were signed."""
    from yarl import URL  # noqa: PLC0415 - loaded with aiohttp

    return URL(url, encoded=True)


async def _within(deadline: Deadline, work: Awaitable[T], *, reading: bool) -> T:
    import asyncio  # noqa: PLC0415 - 20 ms at import; whoever calls a model has it loaded

    import aiohttp  # noqa: PLC0415 - loaded by the first request

    failure: CallFailed
    try:
        async with asyncio.timeout_at(deadline.at):
            return await work
    except aiohttp.ConnectionTimeoutError:
        failure = Deadline(deadline.at, "connect").failure()
    except TimeoutError:
        failure = deadline.failure()
    except (aiohttp.ClientError, OSError) as error:
        failure = _failure_of(error, reading=reading)
    raise failure


def _failure_of(error: Exception, *, reading: bool) -> CallFailed:
    import aiohttp  # noqa: PLC0415 - loaded by the first request

    name = type(error).__name__
    if isinstance(error, aiohttp.ClientResponseError):
        return ResponseInvalid(f"The provider's answer is not valid HTTP ({name}).")
    if reading:
        return StreamInterrupted(f"The connection broke in the middle of the answer ({name}).")
    if isinstance(error, aiohttp.ClientSSLError):
        return ConnectionFailed(
            f"The provider's certificate is not accepted ({name}).",
            details={"should_retry": False},
        )
    reason = error.strerror or "no reason given" if isinstance(error, OSError) else "closed"
    return ConnectionFailed(f"The connection to the provider failed ({name}: {reason}).")
