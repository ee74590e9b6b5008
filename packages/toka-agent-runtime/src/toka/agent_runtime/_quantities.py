"""How people write durations, sizes and shares of a processor.

    duration = number | 1*( number unit )      unit = "w" "d" "h" "m" "s" "ms", largest first
    size     = number [ "B" | ("K" | "M" | "G" | "T") [ "i" ] [ "B" ] ]
    cpu      = number [ "%" ]
    number   = 1*DIGIT [ "." 1*DIGIT ]

A duration without a unit counts seconds. Sizes count in powers of 1024 with or without the `i`, as
memory does. A processor's share is one processor for `1`, `1.0` and `100%`; a bare number above one
is a percentage, because that is how it was read before a sign was asked for.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from toka.types import NANOSECONDS, InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Mapping

_NUMBER: Final = r"[0-9]{1,15}(?:\.[0-9]{1,9})?"
_PART: Final = re.compile(rf"({_NUMBER})(ms|[wdhms])")
_DURATION: Final = re.compile(rf"(?:{_NUMBER}(?:ms|[wdhms]))+")
_BARE: Final = re.compile(_NUMBER)
_SIZE: Final = re.compile(rf"({_NUMBER}) ?(?:([KMGT]?)i?B?)", re.IGNORECASE)
_CPU: Final = re.compile(rf"({_NUMBER}) ?(%?)")

_UNITS: Final[Mapping[str, int]] = {
    "w": 604_800 * NANOSECONDS,
    "d": 86_400 * NANOSECONDS,
    "h": 3_600 * NANOSECONDS,
    "m": 60 * NANOSECONDS,
    "s": NANOSECONDS,
    "ms": NANOSECONDS // 1_000,
}
_POWERS: Final[Mapping[str, int]] = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}

MAX_DURATION: Final = 100 * 365 * 86_400 * NANOSECONDS
"""A century: what lies beyond is a slip of the pen, and would not fit the log's 64 bits."""


def parse_duration(text: str) -> int:
    """Return the nanoseconds of a duration: `30s`, `5m`, `2h30m`, `500ms`, `1.5h`, `90`.

    Raises:
        InvalidValueError: It is not a duration, or is longer than a century.

    """
    compact = text.replace(" ", "")
    nanoseconds = _bare_seconds(compact) if _BARE.fullmatch(compact) else _united(compact)
    if nanoseconds is None:
        raise InvalidValueError(
            f"{text[:40]!r} is not a duration.", hint="Write 30s, 5m, 2h30m, 500ms or 1d."
        )
    if nanoseconds > MAX_DURATION:
        raise InvalidValueError(f"A duration of {text[:40]!r} is longer than a century.")
    return nanoseconds


def _bare_seconds(text: str) -> int:
    return int(Decimal(text) * NANOSECONDS)


def _united(text: str) -> int | None:
    if not _DURATION.fullmatch(text):
        return None
    parts = [(Decimal(number), _UNITS[unit]) for number, unit in _PART.findall(text)]
    sizes = [size for _, size in parts]
    if sizes != sorted(set(sizes), reverse=True):
        return None
    return int(sum(number * size for number, size in parts))


def parse_bytes(text: str) -> int:
    """Return the bytes of a size: `512MB`, `1.5 GiB`, `64k`, `4096`.

    Raises:
        InvalidValueError: It is not a size.

    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise InvalidValueError(
            f"{text[:40]!r} is not a size.", hint="Write 512MB, 1.5GiB, 64K or a number of bytes."
        )
    return int(Decimal(match[1]) * 1024 ** _POWERS[match[2].upper()])


def parse_cpu(text: str) -> float:
    """Return the processors of a share: 0.75 for `75%`, `0.75` and `75`; 2.0 for `200%`.

    Raises:
        InvalidValueError: It is not a share, or is nothing.

    """
    match = _CPU.fullmatch(text.strip())
    if match is None or not Decimal(match[1]):
        raise InvalidValueError(
            f"{text[:40]!r} is not a share of a processor.", hint="Write 75% or 0.75."
        )
    number = Decimal(match[1])
    return float(number / 100 if match[2] or number > 1 else number)
