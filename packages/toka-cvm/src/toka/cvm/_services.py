"""What a host lends its guests: keys and values, HTTP, a log, time and randomness."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Protocol

import attrs
import msgspec

from toka.types import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from toka.types import Clock

_logger = logging.getLogger("toka.cvm.guest")
_LEVELS = (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR)


class KeyValue(Protocol):
    """Keeps what guests put; permissions `kv:read:KEY` and `kv:write:KEY` stand before it."""

    def get(self, key: str, /) -> bytes | None:
        """Return the value, or None where there is none."""
        ...

    def put(self, key: str, value: bytes, /) -> None:
        """Keep a value."""
        ...

    def delete(self, key: str, /) -> None:
        """Forget a value; one that is not there is no fault."""
        ...


class AnswersAtOnce:
    """A mark on a `KeyValue` that never waits, and so needs no thread of its own."""


class MemoryKeyValue(AnswersAtOnce):
    """Keys and values in memory, with an upper bound on what they hold together."""

    def __init__(self, max_bytes: int = 16 * 1024 * 1024) -> None:
        self._values: dict[str, bytes] = {}
        self._left = max_bytes

    def get(self, key: str) -> bytes | None:
        return self._values.get(key)

    def put(self, key: str, value: bytes) -> None:
        """Keep a value.

        Raises:
            OSError: There is no room for it.
        """
        before = self._values.get(key)
        change = len(value) - len(before) if before is not None else len(value) + len(key)
        if change > self._left:
            raise OSError("The store of keys and values is full.")
        self._left -= change
        self._values[key] = value

    def delete(self, key: str) -> None:
        value = self._values.pop(key, None)
        if value is not None:
            self._left += len(value) + len(key)


class HttpRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a guest sends: JSON in its memory, the body in Base64."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


class HttpReply(msgspec.Struct, frozen=True):
    """What it gets: JSON, the body in Base64."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


class HttpHandler(Protocol):
    """Does a request that is granted already. Redirects must not be followed: they are not.

    It runs on a thread of its own, is not waited for beyond the deadline of the call, and has to
    guard against private addresses itself (the tool `http_request` of `toka-tools` shows how).
    """

    def __call__(self, request: HttpRequest, timeout_seconds: float, /) -> HttpReply:
        """Do it.

        Raises:
            OSError: There is no answer; the guest is told so.
        """
        ...


def log_to_logging(level: int, text: str) -> None:
    """Log a guest's line under the name `toka.cvm.guest`."""
    _logger.log(_LEVELS[min(max(level, 0), 3)], "%s", text)


@attrs.frozen
class Services:
    """What is behind the host calls. What is not there cannot be granted."""

    clock: Clock = attrs.Factory(SystemClock)
    random: Callable[[int], bytes] = os.urandom
    log: Callable[[int, str], None] = log_to_logging
    key_value: KeyValue | None = None
    http: HttpHandler | None = None
