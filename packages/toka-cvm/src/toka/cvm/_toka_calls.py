"""The host calls of the import module `toka`.

Text is UTF-8. A call that has something to give keeps it and returns its length; the guest then
makes room and fetches it with `reply`. A negative result is one of the codes below. No text of a
host's exception ever reaches the guest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from toka.cvm._errors import GuestTrapError
from toka.cvm._host_function import Grant, Table
from toka.cvm._services import AnswersAtOnce, HttpReply, HttpRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from toka.cvm._services import KeyValue
    from toka.cvm._session import Session

NOT_FOUND: Final = -1
DENIED: Final = -2
INVALID: Final = -3
FAILED: Final = -4

TABLE: Final = Table("toka")

LOG: Final = Grant("log", ("write",), "log:write:guest")
CLOCK: Final = Grant("clock", ("read",), "clock:read:time")
RANDOM: Final = Grant("random", ("read",), "random:read:bytes")
KV_READ: Final = Grant("kv", ("read",), "kv:read:**", "key_value")
KV_WRITE: Final = Grant("kv", ("write",), "kv:write:**", "key_value")
HTTP: Final = Grant("net", (), "net:get:https://host/**", "http")
_REQUEST: Final = msgspec.json.Decoder(HttpRequest)
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


@TABLE.add("ii")
def input(session: Session, pointer: int, size: int) -> int:  # noqa: A001 - the guest's name for it
    """Copy at most `size` bytes of the input; 0 at its end."""
    data = session.take_input(min(size, session.limits.transfer_bytes))
    session.write(pointer, data)
    return len(data)


@TABLE.add("ii", None)
def output(session: Session, pointer: int, size: int) -> None:
    """Append to the output."""
    session.emit(session.output, session.read(pointer, size))


@TABLE.add("ii")
def reply(session: Session, pointer: int, size: int) -> int:
    """Copy at most `size` bytes of what the last call kept, from its beginning."""
    data = session.reply[:size]
    session.write(pointer, data)
    return len(data)


@TABLE.add("iii", None, grant=LOG)
def log(session: Session, level: int, pointer: int, size: int) -> None:
    """Log a line: 0 debug, 1 info, 2 warning, 3 and above error."""
    write_log(session, level, _text(session, pointer, size))


def write_log(session: Session, level: int, text: str) -> None:
    """Log a guest's line."""
    session.emit(None, text.encode())
    # One line stays one line, whatever the guest wrote: nobody forges a second one.
    shown = "".join([letter if letter.isprintable() else "�" for letter in text])
    session.services.log(level, shown)


@TABLE.add("", "i64", grant=CLOCK)
def clock(session: Session) -> int:
    """Return nanoseconds since the Unix epoch."""
    return session.now()


@TABLE.add("ii", None, grant=RANDOM)
def random(session: Session, pointer: int, size: int) -> None:
    """Fill with random bytes."""
    session.move(size)
    session.write(pointer, session.random(size))


@TABLE.add("ii", grant=KV_READ)
def kv_get(session: Session, pointer: int, size: int) -> int:
    """Keep the value of a key for `reply`, and return its length."""
    found = get_value(session, _text(session, pointer, size))
    return found if isinstance(found, int) else _keep(session, found)


def get_value(session: Session, key: str) -> bytes | int:
    """Return the value of a key, or why there is none."""
    if not session.allows("kv", "read", key):
        return DENIED
    found: list[bytes | None] = []
    status = _serve(session, lambda: found.append(_store(session).get(key)))
    if status:
        return status
    return NOT_FOUND if found[0] is None else found[0]


@TABLE.add("iiii", grant=KV_WRITE)
def kv_put(session: Session, pointer: int, size: int, value_pointer: int, value_size: int) -> int:
    """Keep a value under a key."""
    key = _text(session, pointer, size)
    return put_value(session, key, session.read(value_pointer, value_size))


def put_value(session: Session, key: str, value: bytes) -> int:
    """Keep a value under a key; return 0, or why not."""
    if not session.allows("kv", "write", key):
        return DENIED
    return _serve(session, lambda: _store(session).put(key, value))


@TABLE.add("ii", grant=KV_WRITE)
def kv_delete(session: Session, pointer: int, size: int) -> int:
    """Forget a key."""
    return delete_value(session, _text(session, pointer, size))


def delete_value(session: Session, key: str) -> int:
    """Forget a key; return 0, or why not."""
    if not session.allows("kv", "write", key):
        return DENIED
    return _serve(session, lambda: _store(session).delete(key))


@TABLE.add("ii", grant=HTTP, deterministic=False)
def http(session: Session, pointer: int, size: int) -> int:
    """Do the request that the JSON says, and keep the reply as JSON."""
    try:
        request = _REQUEST.decode(session.read(pointer, size))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return INVALID
    reply = exchange(session, request)
    return reply if isinstance(reply, int) else _keep(session, msgspec.json.encode(reply))


def exchange(session: Session, request: HttpRequest) -> HttpReply | int:
    """Do a request, or say why not."""
    if request.method not in _METHODS or not _is_plain(request):
        return INVALID
    if not session.authority.allows_url(request.method, request.url):
        session.deny(f"net:{request.method.lower()}:{request.url.partition('?')[0]}")
        return DENIED
    handler = session.services.http
    if handler is None:
        return FAILED
    seconds = session.left_seconds()
    replies: list[HttpReply] = []
    try:
        session.outside(lambda: replies.append(handler(request, seconds)))
    except OSError:
        return FAILED
    return replies[0]


def _is_plain(request: HttpRequest) -> bool:
    # A line break in a header or a URL would be a second header to whoever writes it out.
    texts = [request.url, *[part for header in request.headers for part in header]]
    return "#" not in request.url and all(
        text.isascii() and text.isprintable() and (text is not request.url or " " not in text)
        for text in texts
    )


def _serve(session: Session, work: Callable[[], None]) -> int:
    try:
        if isinstance(session.services.key_value, AnswersAtOnce):
            work()
        else:
            session.outside(work)
    except OSError:
        return FAILED
    return 0


def _store(session: Session) -> KeyValue:
    store = session.services.key_value
    if store is None:
        raise OSError("There is no store of keys and values.")
    return store


def _keep(session: Session, data: bytes) -> int:
    session.move(len(data))
    session.reply = data
    return len(data)


def _text(session: Session, pointer: int, size: int) -> str:
    try:
        return session.read(pointer, size).decode()
    except UnicodeDecodeError:
        raise GuestTrapError.of("bad_text") from None
