"""Where an item goes: the subject is the stream's name and the item's kind, joined by a dot.

So the server filters by kind, and only what a subscriber wants crosses the network.
"""

from __future__ import annotations

import re
from typing import Final

from toka.bus.nats._errors import InvalidName

# Of the characters that NATS allows, those without a meaning in subjects, file names or shells.
_SEGMENT: Final = r"[A-Za-z0-9_-]{1,128}"
_NAME: Final = re.compile(_SEGMENT)
_KIND: Final = re.compile(rf"{_SEGMENT}(?:\.{_SEGMENT}){{0,15}}")


def check_name(what: str, name: str) -> str:
    """Return a name of a stream or consumer.

    Raises:
        InvalidName: It has other characters than letters, digits, `-` and `_`.
    """
    if not _NAME.fullmatch(name):
        raise InvalidName(what, name)
    return name


def subject_of(stream: str, kind: str) -> str:
    """Return the subject of a kind.

    Raises:
        InvalidName: The kind is not a dotted name.
    """
    if not _KIND.fullmatch(kind):
        raise InvalidName("kind", kind)
    return f"{stream}.{kind}"


def subject_filter(stream: str, kinds: str) -> str:
    """Return the subjects of a whole kind, or of a prefix that ends with a dot; of all, if empty.

    Raises:
        InvalidName: It is neither.
    """
    if not kinds:
        return f"{stream}.>"
    if kinds.endswith("."):
        return f"{subject_of(stream, kinds[:-1])}.>"
    return subject_of(stream, kinds)
