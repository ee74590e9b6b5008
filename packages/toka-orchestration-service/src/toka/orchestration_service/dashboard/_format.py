"""How values look: times, amounts, and text that hostile authors wrote."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

_HIDDEN: Final = re.compile(
    # Control characters, what turns the direction of text, and what is nowhere to be seen: a name
    # made of them looks like another one.
    "[\0-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
_NOW: Final = 2
_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR
_MICRO: Final = 1_000_000
_TINY: Final = 100
_KILO: Final = 1_000
_KIBI: Final = 1_024
_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB")


def visible(text: str) -> str:
    """Return text in which every character that deceives the eye is written as its code point."""
    return _HIDDEN.sub(lambda found: f"⟨U+{ord(found[0]):04X}⟩", text)


def seconds_of(time: str) -> float:
    """Return a time of the API as seconds since the Unix epoch."""
    return datetime.fromisoformat(time).timestamp()


def ago(time: str, now: float) -> str:
    """Return how long ago a time was, or in how long it will be."""
    distance = now - seconds_of(time)
    text = _coarse(abs(distance))
    if text == "now":
        return text
    return f"{text} ago" if distance > 0 else f"in {text}"


def duration(seconds: float) -> str:
    """Return a length of time with about three digits."""
    if seconds < 1:
        return f"{max(seconds, 0) * 1_000:.0f} ms"
    if seconds < _MINUTE:
        return f"{seconds:.1f} s"
    if seconds < _HOUR:
        return f"{int(seconds // _MINUTE)} min {int(seconds % _MINUTE)} s"
    if seconds < _DAY:
        return f"{int(seconds // _HOUR)} h {int(seconds % _HOUR // _MINUTE)} min"
    return f"{int(seconds // _DAY)} d {int(seconds % _DAY // _HOUR)} h"


def between(began: str | None, ended: str | None, now: float) -> str:
    """Return how long something took, or takes so far; empty if it has not begun."""
    if began is None:
        return ""
    return duration((seconds_of(ended) if ended else now) - seconds_of(began))


def money(micro_usd: int) -> str:
    """Return an amount of money, with as many digits as are needed to see it."""
    dollars = micro_usd / _MICRO
    if dollars >= 1:
        return f"${dollars:,.2f}"
    digits = 4 if micro_usd >= _TINY else 6
    return f"${dollars:.{digits}f}".rstrip("0").rstrip(".")


def count(number: int) -> str:
    """Return a number with its thousands apart."""
    return f"{number:,}"


def short(number: int) -> str:
    """Return a number in few characters."""
    if number < _KILO:
        return str(number)
    if number < _KILO * _KILO:
        return f"{number / _KILO:.1f}k"
    return f"{number / _KILO / _KILO:.1f}M"


def size(number: int) -> str:
    """Return an amount of bytes."""
    value, unit = float(number), 0
    while value >= _KIBI and unit < len(_UNITS) - 1:
        value, unit = value / _KIBI, unit + 1
    return f"{number} B" if unit == 0 else f"{value:.1f} {_UNITS[unit]}"


def _coarse(seconds: float) -> str:
    if seconds < _NOW:
        return "now"
    if seconds < _MINUTE:
        return f"{int(seconds)} s"
    if seconds < _HOUR:
        return f"{int(seconds // _MINUTE)} min"
    if seconds < _DAY:
        return f"{int(seconds // _HOUR)} h"
    return f"{int(seconds // _DAY)} d"
