"""Server-sent events, parsed as their bytes arrive.

WHATWG HTML, section 9.2.6 "Interpreting an event stream": lines end in CR, LF or CRLF, a blank line
dispatches, data lines are joined by LF, a line that begins with a colon is a comment, an event that
the stream's end cuts off is dropped. Splitting happens on bytes, so a character of several bytes
may be cut anywhere. `id` and `retry` are ignored: these streams cannot be resumed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from toka.llm_gateway._errors import ResponseTooLarge

if TYPE_CHECKING:
    from collections.abc import Iterator

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_LINE_ENDS: Final = (b"\n", b"\r")

MAX_EVENT_BYTES: Final = 16 * 1024 * 1024


@attrs.frozen
class ServerSentEvent:
    """One dispatched event."""

    name: bytes
    """The event's type; empty where the stream names none."""
    data: bytes


class SseParser:
    """Turns chunks of any size into events."""

    __slots__ = ("_after_cr", "_data", "_limit", "_name", "_size", "_start", "_tail")

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._limit: Final = max_event_bytes
        self._tail: bytes = b""
        self._start: bool = True
        self._after_cr: bool = False
        self._name: bytes = b""
        self._data: list[bytes] = []
        self._size: int = 0

    def feed(self, chunk: bytes) -> Iterator[ServerSentEvent]:
        """Yield the events that `chunk` completes. Exhaust the iterator before the next chunk.

        Raises:
            ResponseTooLarge: An event exceeds the limit.

        """
        for line in self._lines(chunk):
            if line:
                self._field(line)
            else:
                if self._data:
                    yield ServerSentEvent(self._name, b"\n".join(self._data))
                self._name, self._data, self._size = b"", [], 0

    def _lines(self, chunk: bytes) -> list[bytes]:
        if self._after_cr and chunk:
            # The CR that ended the last chunk was a line's end already; this LF belongs to it.
            chunk = chunk.removeprefix(b"\n")
            self._after_cr = False
        text = self._tail + chunk
        if self._start:
            if len(text) < len(_BYTE_ORDER_MARK) and _BYTE_ORDER_MARK.startswith(text):
                self._tail = text
                return []
            self._start = False
            text = text.removeprefix(_BYTE_ORDER_MARK)
        lines = text.splitlines()
        if text and not text.endswith(_LINE_ENDS):
            self._tail = lines.pop()
            self._check_size(len(self._tail))
        else:
            self._tail = b""
            self._after_cr = text.endswith(b"\r")
        return lines

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._check_size(len(value))
            self._size += len(value)
            self._data.append(value)
        elif name == b"event":
            self._name = value

    def _check_size(self, more: int) -> None:
        if self._size + more > self._limit:
            raise ResponseTooLarge(
                f"An event of the stream is larger than {self._limit} bytes.",
                details={"limit_bytes": self._limit},
            )
