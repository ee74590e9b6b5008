"""What of an event is searched and embedded.

An extractor is any function from an event to text; one that returns an empty text leaves the event
out of the index. `event_text` suits payloads of JSON: the words of the kind, then every string with
its key, those nearest to the root first, because there stands what an event is about, and far down
stands what a tool has printed. Identifiers, digests and numbers say nothing to a reader and are
left out. Text is bounded, so that one large payload costs no more than others.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from toka.store.core import Event

if TYPE_CHECKING:
    from toka.types import Json

TextExtractor: TypeAlias = Callable[[Event], str]
"""Returns the text of an event, or an empty text to leave it out."""

MAX_TEXT: Final = 8_000
"""Characters of an event that are searched."""
MAX_VALUE: Final = 2_000
"""Characters of one string within a payload."""

_VERSION: Final = re.compile(r"v\d+")
_OPAQUE: Final = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}|[0-9a-fA-F]{16,}|[A-Za-z0-9_-]{60,}")
"""A ULID, a digest or number in base 16, a token: nothing that someone would ask for in words."""


def event_text(event: Event) -> str:
    """Return the text of an event whose payload is JSON or plain text.

    A payload that is neither contributes nothing: what remains is the kind.
    """
    lines = [" ".join(part for part in event.kind.split(".") if not _VERSION.fullmatch(part))]
    room = MAX_TEXT - len(lines[0])
    for line in _lines(event.payload):
        if room <= 0:
            break
        lines.append(line[:room])
        room -= len(line) + 1
    return "\n".join(lines)


def _lines(payload: bytes) -> Iterator[str]:
    try:
        yield from _strings(msgspec.json.decode(payload))
    except (msgspec.DecodeError, RecursionError):
        yield _plain(payload)


def _strings(root: Json) -> Iterator[str]:
    """Yield every telling string, breadth first, behind its key."""
    queue: deque[tuple[str, Json]] = deque([("", root)])
    while queue:
        key, value = queue.popleft()
        if isinstance(value, str):
            if text := _OPAQUE.sub(" ", value[:MAX_VALUE]).strip(" /#\n\t"):
                yield f"{key.replace('_', ' ')}: {text}" if key else text
        elif isinstance(value, Mapping):
            queue.extend((name, inner) for name, inner in value.items())
        elif isinstance(value, Sequence):
            queue.extend((key, inner) for inner in value)


def _plain(payload: bytes) -> str:
    try:
        text = payload[: 4 * MAX_TEXT].decode("utf-8")
    except UnicodeDecodeError:
        return ""
    return text if text.isprintable() or "\n" in text else ""
