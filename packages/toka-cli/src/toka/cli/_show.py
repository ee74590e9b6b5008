"""How things are written for people: times, money, states."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from toka.types import NANOSECONDS

if TYPE_CHECKING:
    from toka.types import Amounts

MARKS: Final = {
    "configured": "·",
    "queued": "·",
    "running": "▶",
    "asking": "?",
    "suspended": "‖",
    "completed": "✓",
    "failed": "✗",
    "cancelled": "-",
    "terminated": "-",
    "interrupted": "‖",
    "paused": "‖",
}
COLOURS: Final = {
    "running": "cyan",
    "asking": "yellow",
    "suspended": "yellow",
    "interrupted": "yellow",
    "paused": "yellow",
    "completed": "green",
    "failed": "red",
    "cancelled": "magenta",
    "terminated": "magenta",
}

_MINUTE: Final = 60
_HOUR: Final = 3_600


def duration(nanoseconds: int) -> str:
    """Write a length of time: `0.4s`, `12s`, `3m05s`, `2h10m`."""
    seconds = max(0, nanoseconds) / NANOSECONDS
    if seconds < 10:  # noqa: PLR2004 - below it a tenth is worth a digit
        return f"{seconds:.1f}s"
    if seconds < _MINUTE:
        return f"{seconds:.0f}s"
    whole = int(seconds)
    if whole < _HOUR:
        return f"{whole // _MINUTE}m{whole % _MINUTE:02d}s"
    return f"{whole // _HOUR}h{whole % _HOUR // _MINUTE:02d}m"


def moment(nanoseconds: int) -> str:
    """Write a time of day, UTC, to the millisecond."""
    seconds, rest = divmod(nanoseconds, NANOSECONDS)
    base = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{base}.{rest // 1_000_000:03d}Z"


def cost(spent: Amounts) -> str:
    """Write what was used up; nothing if nothing was."""
    parts: list[str] = []
    if spent.money:
        parts.append(f"${spent.money / 1_000_000:.4f}")
    if spent.tokens:
        parts.append(f"{spent.tokens:,} tokens")
    return ", ".join(parts)


def count(number: int, what: str) -> str:
    """Write a number of things: `1 step`, `2 steps`."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def printable(text: str, limit: int = 200) -> str:
    """Make text from outside safe for a terminal: no control characters, on one line, bounded."""
    clean = "".join(char if char.isprintable() else " " for char in text[: limit + 1])
    return clean if len(clean) <= limit else f"{clean[: limit - 1]}…"
