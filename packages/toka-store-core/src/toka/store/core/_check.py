"""What can be said of an event before a store sees it; every backend asks this first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toka.store.core._append_errors import InvalidEvent, PayloadTooLarge
from toka.store.core._identifier import pack_id
from toka.store.core._limits import (
    MAX_PARENTS,
    MAX_PAYLOAD_BYTES,
    MAX_TAGS,
    MAX_TEXT_CHARACTERS,
    MAX_TIME,
)

if TYPE_CHECKING:
    from toka.store.core._event import NewEvent


def check_event(event: NewEvent) -> bytes:
    """Return the 16 bytes of an event's identifier if all of its fields are in order.

    Raises:
        InvalidEvent: A field has the wrong type, is too long, or has no UTF-8 form; the stream or
            the kind is empty; the time is negative.
        PayloadTooLarge: The payload exceeds the limit.
    """
    identifier = pack_id(event.id)
    payload, time, stream, kind = event.payload, event.time, event.stream, event.kind
    if type(payload) is not bytes:
        raise _invalid(event, "payload", "is not bytes")
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise PayloadTooLarge(len(payload), MAX_PAYLOAD_BYTES, event.id)
    if type(time) is not int or not 0 <= time <= MAX_TIME:
        raise _invalid(event, "time", f"is not an integer from 0 to {MAX_TIME}")
    texts = (stream, kind, event.intent, event.actor, event.token)
    try:
        together = "".join(texts)
    except TypeError as error:
        raise _invalid(event, "stream, kind, intent, actor or token", "is not text") from error
    # Nearly every event is short and ASCII, and needs no look at each text.
    if len(together) > MAX_TEXT_CHARACTERS or not together.isascii():
        _check_texts(event)
    if not stream or not kind:
        raise _invalid(event, "stream" if kind else "kind", "is empty")
    if event.parents:
        _check_parents(event)
    if event.tags:
        _check_tags(event)
    return identifier


def _check_texts(event: NewEvent) -> None:
    for field in ("stream", "kind", "intent", "actor", "token"):
        text: str = getattr(event, field)
        _check_text(event, field, text)


def _check_text(event: NewEvent, field: str, text: str) -> None:
    if len(text) > MAX_TEXT_CHARACTERS:
        raise _invalid(event, field, f"has {len(text)} characters of at most {MAX_TEXT_CHARACTERS}")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise _invalid(event, field, "has no UTF-8 form") from error


def _check_parents(event: NewEvent) -> None:
    if type(event.parents) is not tuple or len(event.parents) > MAX_PARENTS:
        raise _invalid(event, "parents", f"is not a tuple of at most {MAX_PARENTS} identifiers")
    for parent in event.parents:
        pack_id(parent)
    if len(set(event.parents)) != len(event.parents):
        raise _invalid(event, "parents", "names one event twice")


def _check_tags(event: NewEvent) -> None:
    if type(event.tags) is not tuple or len(event.tags) > MAX_TAGS:
        raise _invalid(event, "tags", f"is not a tuple of at most {MAX_TAGS} texts")
    for tag in event.tags:
        if type(tag) is not str:
            raise _invalid(event, "tags", "holds something that is not text")
        _check_text(event, "tags", tag)


def _invalid(event: NewEvent, field: str, what: str) -> InvalidEvent:
    return InvalidEvent(
        f"Event {event.id}: {field} {what}.", details={"event": event.id, "field": field}
    )
