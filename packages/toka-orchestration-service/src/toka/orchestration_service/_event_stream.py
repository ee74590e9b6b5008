"""The log as server-sent events, resumable at any position.

Each stream has its own place in the log: one that is slow reads from the store what it missed, and
keeps nobody else waiting. One that takes nothing at all for a minute is ended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio
import attrs
import msgspec
from aiohttp import web

from toka.auth import AuthenticationError
from toka.orchestration_service._errors import MalformedRequest, TooMany
from toka.orchestration_service._projection import events_after
from toka.orchestration_service._render import render_event
from toka.types import InvalidValueError, check_entity_id

if TYPE_CHECKING:
    from toka.orchestration_service._call import Call
    from toka.runtime import Logged

MAX_STREAMS: Final = 256
WRITE_SECONDS: Final = 60.0
_MAX_POSITION: Final = 2**53
_RETRY: Final = b"retry: 1000\n\n"
_KEEP_ALIVE: Final = b": keep-alive\n\n"


@attrs.frozen
class _Choice:
    """Which events a stream has."""

    after: int
    kinds: tuple[str, ...]
    """Whole kinds, or what they begin with, each with a dot at its end."""
    run: str
    limit: int
    """0 for no limit."""
    until: int | None
    """Position after which the stream ends; None if it goes on with what comes."""

    def takes(self, logged: Logged) -> bool:
        event = logged.event
        below = f"{event.kind}."
        fits = not self.kinds or any(below.startswith(kind) for kind in self.kinds)
        return fits and (not self.run or event.intent == self.run)


async def stream_events(call: Call) -> web.StreamResponse:
    """Send the log from a position on, then what is committed, until the client goes.

    Raises:
        Forbidden: The token does not cover the events.
        MalformedRequest: A parameter is no good, or the position is beyond the log's end.
        TooMany: Too many streams are open.
    """
    choice = _choose(call)
    meter = call.service.meter
    if meter.streams >= MAX_STREAMS:
        raise TooMany(f"{MAX_STREAMS} streams are open, the most that are served.")
    meter.streams += 1
    try:
        return await _stream(call, choice)
    finally:
        meter.streams -= 1


def _choose(call: Call) -> _Choice:
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
    return _Choice(after, kinds, run, limit, None if call.flag("follow", usual=True) else position)


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


async def _stream(call: Call, choice: _Choice) -> web.StreamResponse:
    response = web.StreamResponse(headers={"X-Accel-Buffering": "no"})
    response.content_type = "text/event-stream"
    await response.prepare(call.request)
    stream = _Stream(call, choice, response)
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

    def __init__(self, call: Call, choice: _Choice, response: web.StreamResponse) -> None:
        self._call = call
        self._choice = choice
        self._response = response

    async def send(self) -> None:
        """Send what was chosen."""
        await self._write(_RETRY)
        choice, sent = self._choice, 0
        if choice.until is not None and choice.until <= choice.after:
            return
        async with events_after(self._call.service.runtime, choice.after) as events:
            async for logged in events:
                if choice.takes(logged):
                    data = msgspec.json.encode(render_event(logged))
                    await self._write(b"id: %d\ndata: %b\n\n" % (logged.position, data))
                    sent += 1
                if sent == choice.limit > 0 or logged.position == choice.until:
                    return

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
