"""Answers that were given before, and one call for all who ask the same at once."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Final, Protocol

import attrs
import msgspec

from toka.llm_gateway._messages import ModelMessage
from toka.llm_gateway._records import decode_response, encode_response, message_record
from toka.llm_gateway._response import Cost, ModelResponse, Usage
from toka.llm_gateway.routing._events import closable, events_of
from toka.llm_gateway.routing._limited import TENANT
from toka.types import NANOSECONDS, Clock, SystemClock

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    import anyio

    from toka.llm_gateway._events import StreamEvent
    from toka.llm_gateway._messages import Part
    from toka.llm_gateway._model import Model
    from toka.llm_gateway._request import ModelRequest
    from toka.llm_gateway._response import Estimate

_ENCODER: Final = msgspec.json.Encoder(order="sorted")


class ResponseCache(Protocol):
    """Keeps answers by the digest of what was asked."""

    def get(self, key: bytes) -> bytes | None:
        """Return what is kept, unless it is too old."""
        ...

    def put(self, key: bytes, value: bytes) -> None:
        """Keep an answer."""
        ...


class MemoryCache:
    """Keeps the answers that were used last."""

    def __init__(
        self, *, ttl: float = 3600.0, max_entries: int = 1000, clock: Clock | None = None
    ) -> None:
        """Prepare to keep answers.

        Args:
            ttl: Seconds for which an answer is good.
            max_entries: How many are kept; the one unused for longest goes first.
            clock: Where the time comes from.

        """
        self._ttl: Final = int(ttl * NANOSECONDS)
        self._max: Final = max_entries
        self._clock: Final[Clock] = SystemClock() if clock is None else clock
        self._entries: Final[dict[bytes, tuple[int, bytes]]] = {}

    def get(self, key: bytes) -> bytes | None:
        entry = self._entries.pop(key, None)
        if entry is None or self._clock.monotonic() >= entry[0]:
            return None
        self._entries[key] = entry
        return entry[1]

    def put(self, key: bytes, value: bytes) -> None:
        self._entries.pop(key, None)
        while len(self._entries) >= self._max:
            del self._entries[next(iter(self._entries))]
        self._entries[key] = (self._clock.monotonic() + self._ttl, value)


class SqliteCache:
    """Keeps answers in a file, which several processes may share."""

    def __init__(self, path: Path, *, ttl: float = 3600.0, clock: Clock | None = None) -> None:
        """Open a cache, or make it.

        Args:
            path: The file. It holds answers of models as they are: guard it like a log of them.
            ttl: Seconds for which an answer is good.
            clock: Where the time comes from.

        """
        import sqlite3  # noqa: PLC0415 - only who keeps a file pays

        self._ttl: Final = int(ttl * NANOSECONDS)
        self._clock: Final[Clock] = SystemClock() if clock is None else clock
        self._connection: Final = sqlite3.connect(path, isolation_level=None, timeout=10)
        self._connection.execute("PRAGMA journal_mode = WAL")
        # What is lost with the power is asked again.
        self._connection.execute("PRAGMA synchronous = OFF")
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS answers"
            " (key BLOB PRIMARY KEY, until INTEGER NOT NULL, value BLOB NOT NULL) WITHOUT ROWID"
        )
        self._connection.execute("DELETE FROM answers WHERE until <= ?", (self._clock.now(),))

    def get(self, key: bytes) -> bytes | None:
        row = self._connection.execute(
            "SELECT value FROM answers WHERE key = ? AND until > ?", (key, self._clock.now())
        ).fetchone()
        return None if row is None else row[0]

    def put(self, key: bytes, value: bytes) -> None:
        row = (key, self._clock.now() + self._ttl, value)
        self._connection.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?)", row)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


@attrs.define
class _Flight:
    """A call that is under way, for all who ask the same."""

    landed: anyio.Event
    response: ModelResponse | None = None


class CachedModel:
    """Gives the same answer to the same question, for a while.

    Same means equal in everything that bears on the answer, and of the same tenant. Who asks what
    is being asked at that moment waits for that answer. Answers from here cost nothing and say so
    in `cached`. Only whole answers are kept, never failures.
    """

    def __init__(self, model: Model, cache: ResponseCache) -> None:
        """Put a cache before a model, which is closed with this one.

        Args:
            model: What is asked where the cache has nothing.
            cache: Where answers are kept.

        """
        self.provider: Final = model.provider
        self.name: Final = model.name
        self._model: Final = model
        self._cache: Final = cache
        self._flights: Final[dict[bytes, _Flight]] = {}

    async def complete(self, request: ModelRequest) -> ModelResponse:
        key = digest_of(self.provider, self.name, request)
        while True:
            kept = self._kept(key)
            if kept is not None:
                return kept
            flight = self._flights.get(key)
            if flight is None:
                return await self._ask(key, request)
            await flight.landed.wait()
            if flight.response is not None:
                return free(flight.response)
            # Whoever asked failed or left: the next of those who wait asks.

    async def stream(self, request: ModelRequest) -> AsyncGenerator[StreamEvent, None]:
        key = digest_of(self.provider, self.name, request)
        kept = self._kept(key)
        if kept is not None:
            for event in events_of(kept):
                yield event
            return
        async with aclosing(closable(self._model.stream(request))) as events:
            async for event in events:
                if isinstance(event, ModelResponse):
                    self._cache.put(key, bytes(encode_response(event)))
                yield event

    def estimate(self, request: ModelRequest) -> Estimate:
        return self._model.estimate(request)

    async def aclose(self) -> None:
        await self._model.aclose()

    async def _ask(self, key: bytes, request: ModelRequest) -> ModelResponse:
        import anyio  # noqa: PLC0415 - 10 ms at import; whoever calls has it loaded

        flight = self._flights[key] = _Flight(anyio.Event())
        try:
            flight.response = await self._model.complete(request)
            self._cache.put(key, bytes(encode_response(flight.response)))
        finally:
            del self._flights[key]
            flight.landed.set()
        return flight.response

    def _kept(self, key: bytes) -> ModelResponse | None:
        kept = self._cache.get(key)
        try:
            return None if kept is None else free(decode_response(kept))
        except msgspec.MsgspecError:
            # Written by something else: the same as nothing.
            return None


def digest_of(provider: str, name: str, request: ModelRequest) -> bytes:
    """Return a digest of everything that bears on the answer, and of the tenant."""
    spoken = [message_record(message) for message in request.messages]
    system = request.system
    said = system if isinstance(system, str) else [_system(part) for part in system]
    asked = {
        "model": [provider, request.model or name],
        "tenant": request.metadata.get(TENANT, ""),
        "messages": spoken,
        "system": said,
        "tools": [attrs.asdict(tool) for tool in request.tools],
        "choice": request.tool_choice and attrs.asdict(request.tool_choice),
        "output": request.output and attrs.asdict(request.output),
        "native": request.native and attrs.asdict(request.native),
        "bounds": [request.max_output_tokens, request.temperature, request.top_p],
        "stop": request.stop,
        "effort": request.effort,
    }
    import hashlib  # noqa: PLC0415 - loads OpenSSL; only who caches pays

    return hashlib.sha256(_ENCODER.encode(asked)).digest()


def _system(part: Part) -> object:
    return message_record(ModelMessage("user", (part,)))


def free(response: ModelResponse) -> ModelResponse:
    """Return an answer as one that took nothing."""
    return attrs.evolve(
        response, usage=Usage(), cost=Cost(0), attempts=0, duration_ns=0, cached=True
    )
