"""The interface `toka:host/calls`: what `_toka_calls.py` is for core modules, with types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Never, cast

from toka.cvm._services import HttpRequest
from toka.cvm._toka_calls import (
    CLOCK,
    DENIED,
    FAILED,
    HTTP,
    INVALID,
    KV_READ,
    KV_WRITE,
    LOG,
    NOT_FOUND,
    RANDOM,
    delete_value,
    exchange,
    get_value,
    put_value,
    write_log,
)
from toka.cvm.components._host import Interface, WitError
from toka.cvm.components._types import (
    BYTES,
    STRING,
    U8,
    U16,
    U32,
    U64,
    enum,
    list_of,
    option,
    record,
    result,
    tuple_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toka.cvm._session import Session

CALLS: Final = Interface("toka:host/calls@0.1")

_FAILURE: Final = enum("denied", "invalid", "failed")
_NAMES: Final = {DENIED: "denied", INVALID: "invalid", FAILED: "failed"}
_HEADERS: Final = list_of(tuple_of(STRING, STRING))
_REQUEST: Final = record(method=STRING, url=STRING, headers=_HEADERS, body=BYTES)
_REPLY: Final = record(status=U16, headers=_HEADERS, body=BYTES)


@CALLS.add("input", U32, returns=BYTES)
def read_input(session: Session, size: int) -> bytes:
    """Return the next bytes of the input, none at its end."""
    return session.take_input(min(size, session.limits.transfer_bytes))


@CALLS.add("output", BYTES)
def write_output(session: Session, data: bytes) -> None:
    """Append to the output."""
    session.emit(session.output, data)


@CALLS.add("log", U8, STRING, grant=LOG)
def log(session: Session, level: int, text: str) -> None:
    """Log a line: 0 debug, 1 info, 2 warning, 3 and above error."""
    write_log(session, level, text)


@CALLS.add("clock", returns=U64, grant=CLOCK)
def clock(session: Session) -> int:
    """Return nanoseconds since the Unix epoch."""
    return session.now()


@CALLS.add("random", U32, returns=BYTES, grant=RANDOM)
def random(session: Session, size: int) -> bytes:
    """Return random bytes."""
    session.move(size)
    return session.random(size)


@CALLS.add("kv-get", STRING, returns=result(option(BYTES), _FAILURE), grant=KV_READ)
def kv_get(session: Session, key: str) -> bytes | None:
    """Return the value of a key."""
    found = get_value(session, key)
    if isinstance(found, bytes):
        return found
    return None if found == NOT_FOUND else _fail(found)


@CALLS.add("kv-put", STRING, BYTES, returns=result(None, _FAILURE), grant=KV_WRITE)
def kv_put(session: Session, key: str, value: bytes) -> None:
    """Keep a value under a key."""
    _check(put_value(session, key, value))


@CALLS.add("kv-delete", STRING, returns=result(None, _FAILURE), grant=KV_WRITE)
def kv_delete(session: Session, key: str) -> None:
    """Forget a key."""
    _check(delete_value(session, key))


@CALLS.add("http", _REQUEST, returns=result(_REPLY, _FAILURE), grant=HTTP, deterministic=False)
def http(session: Session, request: dict[str, object]) -> dict[str, object]:
    """Do a request."""
    headers = cast("Sequence[tuple[str, str]]", request["headers"])
    wanted = HttpRequest(
        str(request["method"]),
        str(request["url"]),
        tuple(headers),
        cast("bytes", request["body"]),
    )
    reply = exchange(session, wanted)
    if isinstance(reply, int):
        return _fail(reply)
    return {"status": reply.status, "headers": list(reply.headers), "body": reply.body}


def _check(status: int) -> None:
    if status:
        _fail(status)


def _fail(status: int) -> Never:
    raise WitError(_NAMES[status])
