"""A provider on loopback: the real wire format over a real socket, from a script.

It checks requests as strictly as the real interfaces do, so that a program which passes here says
what it means. It is written from the providers' public documentation; it thinks nothing.
"""

from __future__ import annotations

import abc
import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Final, Self, TypeAlias

import attrs
import msgspec

from toka.llm_gateway._response import ModelResponse
from toka.llm_gateway.testing._faults import Damage, Damaged, Fault, Raw, Refuse, Reset, Silence
from toka.types import JsonObject

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

    from aiohttp import web

ServerLine: TypeAlias = ModelResponse | Fault
"""An answer to give, or a fault to show."""

ServerScript: TypeAlias = Sequence[ServerLine] | Callable[[JsonObject], ServerLine]
"""Lines to say in order, or a function from the request's body to the line."""

DEFAULT_KEY: Final = "test-key-0123456789"


@attrs.frozen
class RecordedRequest:
    """A request as it arrived."""

    path: str
    headers: Mapping[str, str]
    """With lower-case names."""
    body: JsonObject


class FakeProvider(abc.ABC):
    """Serves one provider's format on 127.0.0.1 while it is entered."""

    _stream_type: ClassVar[str] = "text/event-stream"
    _broken: ClassVar[bytes] = b'data: {"type": "content_block_delta", "index": \n\n'
    """An event that is not JSON."""

    def __init__(self, script: ServerScript, *, key: str = DEFAULT_KEY) -> None:
        """Prepare to serve.

        Args:
            script: Lines in order, or a function from request to line. A request past the last
                line is answered with status 500.
            key: The only key that is accepted.

        """
        self.key: Final = key
        self.requests: Final[list[RecordedRequest]] = []
        """What arrived, refused requests included."""
        self._script: Final = script
        self._said = 0
        self._closing: Final = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """The address to give to a model as its base."""
        return f"http://127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        from aiohttp import web  # noqa: PLC0415 - costs 200 ms; a scripted model never needs it

        application = web.Application(client_max_size=64 * 1024 * 1024)
        application.router.add_post(self._path(), self._serve)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closing.set()
        if self._runner is not None:
            await self._runner.cleanup()

    @abc.abstractmethod
    def _path(self) -> str:
        """Return the path that is served."""

    def _streamed(self, path: str, body: JsonObject) -> bool:
        """Say whether a stream is asked for."""
        del path
        return body.get("stream") is True

    @abc.abstractmethod
    def _check(self, request: RecordedRequest) -> Refuse | None:
        """Return what is wrong with a request."""

    @abc.abstractmethod
    def _whole(self, response: ModelResponse) -> JsonObject:
        """Return the body of an answer."""

    @abc.abstractmethod
    def _events(self, response: ModelResponse, request: JsonObject) -> Iterator[bytes]:
        """Yield the encoded events of a streamed answer, the mark of its end last."""

    @abc.abstractmethod
    def _error(self, refuse: Refuse) -> JsonObject:
        """Return the body of an error."""

    @abc.abstractmethod
    def _request_id_header(self) -> str:
        """Return the name of the header that names a request."""

    async def _serve(self, http: web.Request) -> web.StreamResponse:
        request = RecordedRequest(
            http.path,
            {name.lower(): value for name, value in http.headers.items()},
            msgspec.json.decode(await http.read()),
        )
        self.requests.append(request)
        line = self._check(request) or self._next_line(request.body)
        if isinstance(line, Damaged):
            events = list(self._events(line.response, request.body))
            return await self._stream(http, self._damaged(events, line), line.damage)
        if isinstance(line, ModelResponse) and self._streamed(http.path, request.body):
            return await self._stream(http, self._events(line, request.body))
        return await self._say(http, line)

    def _next_line(self, body: JsonObject) -> ServerLine:
        index, self._said = self._said, self._said + 1
        if callable(self._script):
            return self._script(body)
        if index < len(self._script):
            return self._script[index]
        return Refuse(500, "api_error", f"The script has {len(self._script)} lines.")

    async def _say(
        self, http: web.Request, line: ModelResponse | Refuse | Reset | Silence | Raw
    ) -> web.Response:
        from aiohttp import web  # noqa: PLC0415 - loaded when the server started

        match line:
            case ModelResponse():
                line = Raw(msgspec.json.encode(self._whole(line)))
            case Refuse(status, _, _, headers):
                line = Raw(msgspec.json.encode(self._error(line)), status, headers=headers)
            case Silence():
                await self._closing.wait()
                return web.Response()
            case Reset():
                _abort(http)
                return web.Response()
            case Raw():
                pass
        return web.Response(
            body=line.body,
            status=line.status,
            headers={self._request_id_header(): self._request_id(), **line.headers},
            content_type=line.content_type,
        )

    async def _stream(
        self, http: web.Request, events: Iterable[bytes], damage: Damage | None = None
    ) -> web.StreamResponse:
        from aiohttp import web  # noqa: PLC0415 - loaded when the server started

        answer = web.StreamResponse(headers={self._request_id_header(): self._request_id()})
        answer.content_type = self._stream_type
        await answer.prepare(http)
        for event in events:
            await answer.write(event)
        if damage == "stall":
            await self._closing.wait()
        if damage == "reset":
            _abort(http)
        return answer

    def _damaged(self, events: list[bytes], line: Damaged) -> list[bytes]:
        if line.damage == "unterminated":
            return events[:-1]
        if line.damage == "malformed":
            return [*events[: line.after], self._broken, *events[line.after :]]
        return events[: line.after]

    def _request_id(self) -> str:
        return f"req_{len(self.requests):04}"


def _abort(http: web.Request) -> None:
    if http.transport is not None:
        http.transport.abort()
