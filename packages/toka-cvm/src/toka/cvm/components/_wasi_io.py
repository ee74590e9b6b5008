"""WASI 0.2, `wasi:io`: streams, waiting, and errors.

Specification: WebAssembly/wasi-io, wit/streams.wit, wit/poll.wit and wit/error.wit, 0.2. Written
here instead of taken from wasmtime, for the reasons that `_wasi.py` has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import attrs

from toka.cvm._errors import GuestTrapError
from toka.cvm.components._host import Interface, WitError
from toka.cvm.components._types import (
    BOOL,
    BORROW,
    BYTES,
    OWN,
    STRING,
    U32,
    U64,
    list_of,
    result,
    variant,
)

if TYPE_CHECKING:
    from toka.cvm._session import Session

ERROR: Final = Interface("wasi:io/error@0.2", "error")
POLL: Final = Interface("wasi:io/poll@0.2", "pollable")
STREAMS: Final = Interface("wasi:io/streams@0.2", "input-stream", "output-stream")

_STREAM_ERROR: Final = variant(last_operation_failed=OWN, closed=None)
_CLOSED: Final = ("closed", None)
_MOST_POLLED: Final = 1_024


@attrs.frozen
class StreamError:
    """What went wrong with a stream: a name of `wasi:filesystem`, and no text of the host."""

    code: str

    def to_stream(self) -> WitError:
        """Return it as the error of an operation on a stream."""
        return WitError(("last-operation-failed", self))


class Reader(Protocol):
    """What is behind an input stream."""

    def read(self, session: Session, size: int, /) -> bytes:
        """Return the next bytes, none at the end.

        Raises:
            WitError: With an error of a stream.
        """
        ...


class Writer(Protocol):
    """What is behind an output stream."""

    def write(self, session: Session, data: bytes, /) -> None:
        """Take bytes.

        Raises:
            WitError: With an error of a stream.
        """
        ...


@attrs.frozen
class InputStream:
    """A stream that a guest reads."""

    source: Reader

    def close(self) -> None:
        """Give back what is behind it."""
        _close(self.source)


@attrs.frozen
class OutputStream:
    """A stream that a guest writes."""

    target: Writer

    def close(self) -> None:
        """Give back what is behind it."""
        _close(self.target)


def _close(what: object) -> None:
    close = getattr(what, "close", None)
    if close is not None:
        close()


@attrs.frozen
class Pollable:
    """Something that is ready now, or from an instant of the monotonic clock on."""

    until: int | None = None


def _reads(stream: object) -> Reader:
    if isinstance(stream, InputStream):
        return stream.source
    raise GuestTrapError.of("bad_handle")


def _writes(stream: object) -> Writer:
    if isinstance(stream, OutputStream):
        return stream.target
    raise GuestTrapError.of("bad_handle")


# --- Errors and waiting ---


@ERROR.add("[method]error.to-debug-string", BORROW, returns=STRING)
def to_debug_string(_session: Session, error: object) -> str:
    return error.code if isinstance(error, StreamError) else "error"


@POLL.add("[method]pollable.ready", BORROW, returns=BOOL)
def ready(session: Session, pollable: object) -> bool:
    return _left(session, pollable) <= 0


@POLL.add("[method]pollable.block", BORROW)
def block(session: Session, pollable: object) -> None:
    session.sleep(max(_left(session, pollable), 0))


@POLL.add("poll", list_of(BORROW), returns=list_of(U32))
def poll(session: Session, pollables: list[object]) -> list[int]:
    if not 0 < len(pollables) <= _MOST_POLLED:
        raise GuestTrapError.of("bad_poll")
    left = [_left(session, one) for one in pollables]
    first = min(left)
    session.sleep(max(first, 0))
    return [at for at, one in enumerate(left) if one <= max(first, 0)]


def _left(session: Session, pollable: object) -> int:
    if not isinstance(pollable, Pollable):
        raise GuestTrapError.of("bad_handle")
    return 0 if pollable.until is None else pollable.until - session.now(monotonic=True)


# --- Reading ---


def _read(session: Session, stream: object, size: int) -> bytes:
    source = _reads(stream)
    if not size:
        return b""
    data = source.read(session, min(size, session.limits.transfer_bytes))
    if not data:
        raise WitError(_CLOSED)
    return data


@STREAMS.add("[method]input-stream.read", BORROW, U64, returns=result(BYTES, _STREAM_ERROR))
def read(session: Session, stream: object, size: int) -> bytes:
    return _read(session, stream, size)


@STREAMS.add(
    "[method]input-stream.blocking-read", BORROW, U64, returns=result(BYTES, _STREAM_ERROR)
)
def blocking_read(session: Session, stream: object, size: int) -> bytes:
    return _read(session, stream, size)


@STREAMS.add("[method]input-stream.skip", BORROW, U64, returns=result(U64, _STREAM_ERROR))
def skip(session: Session, stream: object, size: int) -> int:
    return _skip(session, stream, size)


@STREAMS.add("[method]input-stream.blocking-skip", BORROW, U64, returns=result(U64, _STREAM_ERROR))
def blocking_skip(session: Session, stream: object, size: int) -> int:
    return _skip(session, stream, size)


def _skip(session: Session, stream: object, size: int) -> int:
    data = _read(session, stream, size)
    session.move(len(data))
    return len(data)


@STREAMS.add("[method]input-stream.subscribe", BORROW, returns=OWN)
def subscribe_input(_session: Session, stream: object) -> Pollable:
    _reads(stream)
    return Pollable()


# --- Writing ---


@STREAMS.add("[method]output-stream.check-write", BORROW, returns=result(U64, _STREAM_ERROR))
def check_write(session: Session, stream: object) -> int:
    _writes(stream)
    return session.limits.transfer_bytes


def _write(session: Session, stream: object, data: bytes) -> None:
    _writes(stream).write(session, data)


@STREAMS.add("[method]output-stream.write", BORROW, BYTES, returns=result(None, _STREAM_ERROR))
def write(session: Session, stream: object, data: bytes) -> None:
    _write(session, stream, data)


@STREAMS.add(
    "[method]output-stream.blocking-write-and-flush",
    *(BORROW, BYTES),
    returns=result(None, _STREAM_ERROR),
)
def blocking_write_and_flush(session: Session, stream: object, data: bytes) -> None:
    _write(session, stream, data)


@STREAMS.add("[method]output-stream.flush", BORROW, returns=result(None, _STREAM_ERROR))
def flush(_session: Session, stream: object) -> None:
    _writes(stream)


@STREAMS.add("[method]output-stream.blocking-flush", BORROW, returns=result(None, _STREAM_ERROR))
def blocking_flush(_session: Session, stream: object) -> None:
    _writes(stream)


@STREAMS.add("[method]output-stream.subscribe", BORROW, returns=OWN)
def subscribe_output(_session: Session, stream: object) -> Pollable:
    _writes(stream)
    return Pollable()


@STREAMS.add("[method]output-stream.write-zeroes", BORROW, U64, returns=result(None, _STREAM_ERROR))
def write_zeroes(session: Session, stream: object, size: int) -> None:
    _zeroes(session, stream, size)


@STREAMS.add(
    "[method]output-stream.blocking-write-zeroes-and-flush",
    *(BORROW, U64),
    returns=result(None, _STREAM_ERROR),
)
def blocking_write_zeroes_and_flush(session: Session, stream: object, size: int) -> None:
    _zeroes(session, stream, size)


def _zeroes(session: Session, stream: object, size: int) -> None:
    target = _writes(stream)
    session.move(size)  # Before they are made.
    target.write(session, bytes(size))


@STREAMS.add(
    "[method]output-stream.splice", *(BORROW, BORROW, U64), returns=result(U64, _STREAM_ERROR)
)
def splice(session: Session, stream: object, source: object, size: int) -> int:
    return _splice(session, stream, source, size)


@STREAMS.add(
    "[method]output-stream.blocking-splice",
    *(BORROW, BORROW, U64),
    returns=result(U64, _STREAM_ERROR),
)
def blocking_splice(session: Session, stream: object, source: object, size: int) -> int:
    return _splice(session, stream, source, size)


def _splice(session: Session, stream: object, source: object, size: int) -> int:
    target = _writes(stream)
    data = _read(session, source, size)
    session.move(len(data))
    target.write(session, data)
    return len(data)
