"""The log as server-sent events, resumable at any position.

Each stream has its own place in the log: one that is slow reads from the store what it missed, and
keeps nobody else waiting. Those that keep up share the bytes that they are sent. One that takes
nothing at all for a minute is ended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio
import attrs
from aiohttp import web

from toka.auth import AuthenticationError
from toka.orchestration_service._errors import MalformedRequest, TooMany
from toka.orchestration_service._feed import Choice, frame_data
from toka.orchestration_service._projection import events_after
from toka.types import InvalidValueError, check_entity_id

if TYPE_CHECKING:
    from toka.orchestration_service._call import Call

MAX_STREAMS: Final = 1_024
WRITE_SECONDS: Final = 60.0
_MAX_POSITION: Final = 2**53
_RETRY: Final = b"retry: 1000\n\n"
_KEEP_ALIVE: Final = b": keep-alive\n\n"


@attrs.frozen
class _Wanted:
    """What a client asked for."""

    after: int
    choice: Choice
    limit: int
    """0 for no limit."""
    until: int | None
    """Position after which the stream ends; None if it goes on with what comes."""

    @property
    def ends(self) -> bool:
        """Whether the stream ends by itself."""
        return self.limit > 0 or self.until is not None


async def stream_events(call: Call) -> web.StreamResponse:
    """Send the log from a position on, then what is committed, until the client goes.

    Raises:
        Forbidden: The token does not cover the events.
        MalformedRequest: A parameter is no good, or the position is beyond the log's end.
        TooMany: Too many streams are open.
    """
    wanted = _choose(call)
    meter = call.service.meter
    if meter.streams >= MAX_STREAMS:
        raise TooMany(f"{MAX_STREAMS} streams are open, the most that are served.")
    meter.streams += 1
    try:
        return await _stream(call, wanted)
    finally:
        meter.streams -= 1


def _choose(call: Call) -> _Wanted:
    run = _run(call)
    call.require(f"event:read:{run}/**" if run else "event:read:**")
    position = call.service.runtime.position
    after = _after(call)
    if after > position:
        raise MalformedRequest(
            f"The log ends at position {position}, before {after}.",
            hint="Begin again without a position if the log was replaced.",
        )
    given = call.request.query.getall("kind", [])
    kinds = tuple(kind if kind.endswith(".") else f"{kind}." for kind in given if kind)
    limit = call.number("limit", 0, _MAX_POSITION)
    until = None if call.flag("follow", usual=True) else position
    return _Wanted(after, Choice(kinds, run), limit, until)


def _after(call: Call) -> int:
    """Return where to begin: what a browser remembers goes before what its address says."""
    last = call.request.headers.get("Last-Event-ID", "")
    if not last:
        return call.number("after", 0, _MAX_POSITION)
    if not (last.isascii() and last.isdecimal()) or len(last) > len(str(_MAX_POSITION)):
        raise MalformedRequest("The Last-Event-ID is not one that this service sent.")
    return int(last)


def _run(call: Call) -> str:
    run = call.text("run")
    try:
        return check_entity_id(run) if run else ""
    except InvalidValueError as error:
        raise MalformedRequest(f"run={run[:40]!r} names no run.") from error


async def _stream(call: Call, wanted: _Wanted) -> web.StreamResponse:
    response = web.StreamResponse(headers={"X-Accel-Buffering": "no"})
    response.content_type = "text/event-stream"
    await response.prepare(call.request)
    stream = _Stream(call, wanted, response)
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(stream.keep_alive, group.cancel_scope)
            group.start_soon(stream.end_with_service, group.cancel_scope)
            await stream.send()
            group.cancel_scope.cancel()
    except* (ConnectionError, TimeoutError):
        # The client has gone or takes nothing; what it did not get it can ask for again.
        pass
    return response


class _Stream:
    """One client's place in the log."""

    def __init__(self, call: Call, wanted: _Wanted, response: web.StreamResponse) -> None:
        self._call = call
        self._wanted = wanted
        self._response = response

    async def send(self) -> None:
        """Send what was chosen."""
        await self._write(_RETRY)
        wanted, feed = self._wanted, self._call.service.feed
        if wanted.ends:
            await self._send_from_log(wanted.after, wanted.until)
            return
        position = wanted.after
        while True:
            # Again and again: more may have come meanwhile than memory keeps.
            while not feed.reaches(position):
                position = await self._send_from_log(position, feed.position)
            piece = feed.after(position, wanted.choice)
            if piece.data:
                await self._write(piece.data)
            position = piece.position
            await feed.wait(position)

    async def _send_from_log(self, after: int, until: int | None) -> int:
        """Send what the log has up to a position, and return that; or as much as is wanted."""
        wanted, sent = self._wanted, 0
        if until is not None and until <= after:
            return after
        async with events_after(self._call.service.runtime, after) as events:
            async for logged in events:
                if wanted.choice.takes(logged.event.body.kind, logged.event.intent):
                    await self._write(frame_data(logged))
                    sent += 1
                if sent == wanted.limit > 0 or logged.position == until:
                    return logged.position
        return after

    async def keep_alive(self, scope: anyio.CancelScope) -> None:
        """Show that the stream lives, and end it when its token no longer does."""
        service = self._call.service
        while True:
            await anyio.sleep(service.settings.keep_alive)
            try:
                service.authenticator.identify(self._call.token)
            except AuthenticationError:
                await self._write(b": the token is not accepted any more\n\n")
                scope.cancel()
                return
            await self._write(_KEEP_ALIVE)

    async def end_with_service(self, scope: anyio.CancelScope) -> None:
        """End the stream when the service stops."""
        await self._call.service.closing.wait()
        scope.cancel()

    async def _write(self, data: bytes) -> None:
        with anyio.fail_after(WRITE_SECONDS):
            await self._response.write(data)
