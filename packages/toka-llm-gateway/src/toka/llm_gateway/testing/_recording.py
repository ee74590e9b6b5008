"""Traffic with a provider, recorded once and replayed in tests: bytes, in any format.

A recording is a file of JSON lines. Keys are never in it: of a request only its path and body are
kept, of an answer its status, its type and a few headers that bear on what a client does.
"""

from __future__ import annotations

import abc
import asyncio
from typing import TYPE_CHECKING, Final, Self

import attrs
import msgspec

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from aiohttp import web

_KEPT: Final = ("content-type", "retry-after", "retry-after-ms", "x-should-retry")
_FORWARDED: Final = (
    "authorization",
    "x-api-key",
    "x-goog-api-key",
    "api-key",
    "anthropic-version",
    "anthropic-beta",
    "content-type",
    "idempotency-key",
)


class Exchanged(msgspec.Struct, frozen=True):
    """One request and its answer. Bodies are bytes, in base64 in the file."""

    path: str
    request: bytes
    status: int
    headers: dict[str, str]
    body: bytes


@attrs.define
class _Server(abc.ABC):
    """Answers any POST on 127.0.0.1."""

    _runner: web.AppRunner | None = None
    _port: int = 0

    @property
    def url(self) -> str:
        """The address that stands for the provider's, without any path."""
        return f"http://127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        from aiohttp import web  # noqa: PLC0415 - costs 200 ms

        application = web.Application(client_max_size=64 * 1024 * 1024)
        application.router.add_post("/{path:.*}", self._serve)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    @abc.abstractmethod
    async def _serve(self, http: web.Request) -> web.StreamResponse:
        """Answer one request."""


class Recorder(_Server):
    """Stands between a program and a provider, and keeps what passes."""

    def __init__(self, target: str, path: Path) -> None:
        """Prepare to record.

        Args:
            target: The provider's address, without any path: `https://api.openai.com`.
            path: The file; what it holds is kept, what is new is added.

        """
        super().__init__()
        self._target: Final = target.rstrip("/")
        self._path: Final = path

    async def _serve(self, http: web.Request) -> web.StreamResponse:
        import aiohttp  # noqa: PLC0415 - loaded when the server started
        from aiohttp import web  # noqa: PLC0415

        sent = await http.read()
        headers = {name: http.headers[name] for name in _FORWARDED if name in http.headers}
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self._target}{http.path_qs}", data=sent, headers=headers) as answer,
        ):
            body = await answer.read()
            kept = {name: answer.headers[name] for name in _KEPT if name in answer.headers}
            exchanged = Exchanged(http.path_qs, sent, answer.status, kept, body)
        with self._path.open("ab") as file:
            file.write(msgspec.json.encode(exchanged) + b"\n")
        return web.Response(body=body, status=exchanged.status, headers=kept)


class Replayer(_Server):
    """Gives recorded answers to the requests that they were given to, in their order."""

    def __init__(self, path: Path, *, chunk: int = 0, pause: float = 0.0) -> None:
        """Prepare to replay.

        Args:
            path: A file that a `Recorder` has written.
            chunk: Bytes that are sent at a time; 0 sends all at once.
            pause: Seconds between them, for a slow provider.

        """
        super().__init__()
        lines = path.read_bytes().splitlines()
        self._waiting: Final = [msgspec.json.decode(line, type=Exchanged) for line in lines]
        self._chunk: Final = chunk
        self._pause: Final = pause

    def check_consumed(self) -> None:
        """Check that every recorded request was made.

        Raises:
            AssertionError: Some were not.

        """
        if self._waiting:
            raise AssertionError(f"{len(self._waiting)} recorded requests were not made.")

    async def _serve(self, http: web.Request) -> web.StreamResponse:
        from aiohttp import web  # noqa: PLC0415 - loaded when the server started

        sent = await http.read()
        found = self._take(http.path_qs, sent)
        if found is None:
            # No provider's status: a client that retries would hide the mistake.
            text = "The recording holds no such request; record it anew."
            return web.Response(text=text, status=501, headers={"x-should-retry": "false"})
        answer = web.StreamResponse(status=found.status, headers=found.headers)
        await answer.prepare(http)
        size = self._chunk or max(1, len(found.body))
        for start in range(0, len(found.body), size):
            await answer.write(found.body[start : start + size])
            if self._pause:
                await asyncio.sleep(self._pause)
        await answer.write_eof()
        return answer

    def _take(self, path: str, sent: bytes) -> Exchanged | None:
        for number, exchanged in enumerate(self._waiting):
            if exchanged.path == path and exchanged.request == sent:
                return self._waiting.pop(number)
        return None
