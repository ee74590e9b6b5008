"""Server-sent events, as the HTML standard defines the stream (section 9.2.6), without I/O."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import attrs

from toka.tools.mcp._errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterator

_LINE_END: Final = re.compile(rb"\r\n|\n|\r")
_MAX_RETRY_MS: Final = 60_000


@attrs.frozen
class Event:
    """One event."""

    kind: str
    data: bytes


@attrs.define
class EventParser:
    """Takes bytes as they come and gives events as they are complete."""

    limit: int
    """Of one event, and of what of it has come, in bytes."""
    last_id: str = attrs.field(default="", init=False)
    retry_ms: int | None = attrs.field(default=None, init=False)
    _buffer: bytearray = attrs.field(factory=bytearray, init=False)
    _data: list[bytes] = attrs.field(factory=list[bytes], init=False)
    _size: int = attrs.field(default=0, init=False)
    _kind: str = attrs.field(default="message", init=False)

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """Give the events that `chunk` completes.

        Raises:
            ProtocolError: An event is longer than it may be.
        """
        self._buffer += chunk
        start = 0
        while (end := _LINE_END.search(self._buffer, start)) is not None:
            # A carriage return at the very end may be the first half of a line end.
            if end[0] == b"\r" and end.end() == len(self._buffer):
                break
            line = bytes(self._buffer[start : end.start()])
            start = end.end()
            if line:
                self._field(line)
            elif (event := self._complete()) is not None:
                yield event
        del self._buffer[:start]
        if len(self._buffer) + self._size > self.limit:
            raise ProtocolError(f"An event is longer than {self.limit} bytes.")

    def _complete(self) -> Event | None:
        kind, data = self._kind, self._data
        self._kind, self._data, self._size = "message", [], 0
        return Event(kind, b"\n".join(data)) if data else None

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
            self._size += len(value) + 1
            if self._size > self.limit:
                raise ProtocolError(f"An event is longer than {self.limit} bytes.")
        elif name == b"event":
            self._kind = value.decode("utf-8", "replace")
        elif name == b"id" and b"\0" not in value:
            self.last_id = value.decode("utf-8", "replace")
        elif name == b"retry" and value.isdigit() and len(value) < 10:  # noqa: PLR2004 - ten days
            self.retry_ms = min(int(value), _MAX_RETRY_MS)
