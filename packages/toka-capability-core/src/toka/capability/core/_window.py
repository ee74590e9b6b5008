"""Times of day that come again: `22:00` to `06:00` on Fridays, on the clocks of New York.

One rule decides everything: *a window is open whenever a clock on a wall in its zone shows a time
in `[start, end)`*, of a day that is one of its weekdays. If the end is not after the start, the
window runs overnight, and the weekday is that of the evening: a clock that shows a time before the
end is then in the night that the day before began, the last day that there was.

What follows where clocks are changed: an hour that a clock skips opens nothing, an hour that it
shows twice is open twice, and a night lasts an hour less or more.
"""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import attrs

from toka.capability.core._errors import InvalidWindowError

if TYPE_CHECKING:
    from collections.abc import Iterable

EVERY_DAY: Final[tuple[int, ...]] = (1, 2, 3, 4, 5, 6, 7)
"""Monday to Sunday, in the numbers of ISO 8601."""
DAY_SECONDS: Final = 86_400

_CLOCK: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_ZONE: Final = re.compile(r"[A-Z][A-Za-z0-9_+-]{0,31}(?:/[A-Za-z0-9_+-]{1,31}){0,2}")
_NO_PLACE: Final = frozenset({"Factory"})


@attrs.frozen
class TimeWindow:
    """A time of day that comes again each week.

    Raises:
        InvalidWindowError: A part is not in its grammar, or the zone is not known here.
    """

    start: str
    """`HH:MM`; the window is open from that minute on."""
    end: str
    """`HH:MM`; at that minute the window is closed."""
    zone: str = "UTC"
    """A name from the time zone database of IANA. Neither an offset nor a path."""
    days: tuple[int, ...] = EVERY_DAY
    """Weekdays on which the window opens, Monday is 1; sorted, each once."""
    _start: int = attrs.field(init=False, eq=False, repr=False)
    _end: int = attrs.field(init=False, eq=False, repr=False)
    _zone: ZoneInfo = attrs.field(init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        start, end = _seconds(self.start), _seconds(self.end)
        if start == end:
            raise InvalidWindowError(
                f"A window from {self.start} to {self.end} is no time, or all of it.",
                hint="For whole days leave the window out.",
            )
        days = self.days
        if not days or list(days) != sorted(set(days)) or not {*days} <= {*EVERY_DAY}:
            raise InvalidWindowError(
                "The days of a window are no weekdays.", hint="Write 1 (Monday) to 7, sorted."
            )
        for name, part in (("_start", start), ("_end", end), ("_zone", zone_named(self.zone))):
            object.__setattr__(self, name, part)

    def contains(self, at: int | datetime) -> bool:
        """Say whether the window is open at an instant.

        Args:
            at: Seconds since the Unix epoch, or a time that knows its zone.

        Raises:
            InvalidWindowError: The time knows no zone, so it is no instant.
        """
        # An aware time is compared as an instant: Python finds the first and the second 01:30 of
        # an autumn night equal, though an hour lies between them.
        instant = int(_instant(at))
        local = datetime.fromtimestamp(instant, self._zone)
        time = local.hour * 3_600 + local.minute * 60 + local.second
        if self._start < self._end:
            return self._start <= time < self._end and local.isoweekday() in self.days
        if time >= self._start:
            return local.isoweekday() in self.days
        return time < self._end and self._day_before(instant, local, time) in self.days

    def _day_before(self, instant: int, local: datetime, time: int) -> int:
        """Return the weekday of the last day that a calendar there showed before this one.

        Not always the one before: in December 2011 Samoa had no Friday the 30th.
        """
        before = local
        while before.date() >= local.date():
            instant -= time + 1
            before = datetime.fromtimestamp(instant, self._zone)
            time = before.hour * 3_600 + before.minute * 60 + before.second
        return before.isoweekday()

    def includes(self, other: TimeWindow) -> bool:
        """Say whether this window is open whenever `other` is, as far as their texts tell.

        A yes is right for all time. A no says nothing: two windows of different zones, or of one
        night and the morning after, are compared by `toka.capability.core.first_leak`.
        """
        if self.zone != other.zone or not {*other.days} <= {*self.days}:
            return False
        if self._start < self._end:
            return self._start <= other._start < other._end <= self._end
        if other._start < other._end:
            return self._start <= other._start
        return self._start <= other._start and other._end <= self._end

    def edges(self, begin: int, end: int) -> set[int]:
        """Return instants between which nothing changes; some lie outside of `[begin, end)`."""
        offsets: set[int] = set()
        found: set[int] = set()
        for day in range(begin // DAY_SECONDS - 1, (end - 1) // DAY_SECONDS + 2):
            changes, seen = _offsets_on(self._zone, day)
            found.update(changes)
            offsets |= seen
        for midnight in range(begin // DAY_SECONDS - 2, end // DAY_SECONDS + 3):
            for time in (0, self._start, self._end):
                found.update(midnight * DAY_SECONDS + time - offset for offset in offsets)
        return found

    def __str__(self) -> str:
        days = "" if self.days == EVERY_DAY else f" on {','.join(map(str, self.days))}"
        return f"{self.start}-{self.end} {self.zone}{days}"


def is_open(windows: Iterable[TimeWindow], instant: int) -> bool:
    """Say whether any of the windows is open; where there is none, time is not restricted."""
    windows = tuple(windows)
    return not windows or any(window.contains(instant) for window in windows)


def closes_at(windows: Iterable[TimeWindow], instant: int, limit: int) -> int:
    """Return the first instant from `instant` on at which no window is open, or `limit`."""
    windows = tuple(windows)
    for edge in [instant, *_edges(windows, instant, limit)]:
        if not is_open(windows, edge):
            return edge
    return limit


def first_leak(
    inner: Iterable[TimeWindow], outer: Iterable[TimeWindow], begin: int, end: int
) -> int | None:
    """Return the first instant of `[begin, end)` at which `inner` is open and `outer` is not.

    Decided on instants and not on texts, so that equal hours of two zones that change their clocks
    on different days are told apart.
    """
    inner, outer = tuple(inner), tuple(outer)
    if inner and all(any(window.includes(part) for window in outer) for part in inner):
        return None
    for edge in [begin, *_edges((*inner, *outer), begin, end)]:
        if is_open(inner, edge) and not is_open(outer, edge):
            return edge
    return None


def zone_named(name: str) -> ZoneInfo:
    """Return a zone of the IANA database.

    Raises:
        InvalidWindowError: The name is not one, or its data is not installed here.
    """
    # The library takes a name for a path below its directories, where also lie the machine's own
    # time and copies that count leap seconds.
    if not _ZONE.fullmatch(name) or name in _NO_PLACE:
        raise InvalidWindowError(
            f"{name[:40]!r} names no time zone.", hint="For example 'Europe/Berlin' or 'UTC'."
        )
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError, ValueError) as error:
        raise InvalidWindowError(
            f"The time zone {name!r} is not known here.",
            hint="Check the name, and that the time zone data (tzdata) is installed.",
        ) from error


def _edges(windows: Iterable[TimeWindow], begin: int, end: int) -> list[int]:
    found: set[int] = set()
    for window in windows:
        found |= window.edges(begin, end)
    return sorted(edge for edge in found if begin < edge < end)


@lru_cache(maxsize=1_024)
def _offsets_on(zone: ZoneInfo, day: int) -> tuple[tuple[int, ...], frozenset[int]]:
    """Return when the clocks of a zone are changed on a day of UTC, and their offsets on it."""
    changes: list[int] = []
    begin = day * DAY_SECONDS
    offsets = {_offset(zone, begin)}
    # No zone has changed its clocks twice within an hour since 1970; a test reads them all.
    for low in range(begin, begin + DAY_SECONDS, 3_600):
        before, high = _offset(zone, low), low + 3_600
        if _offset(zone, high) == before:
            continue
        start = low
        while high - start > 1:
            middle = (start + high) // 2
            start, high = (middle, high) if _offset(zone, middle) == before else (start, middle)
        changes.append(high)
        offsets.add(_offset(zone, high))
    return tuple(changes), frozenset(offsets)


def _offset(zone: ZoneInfo, instant: int) -> int:
    shift = datetime.fromtimestamp(instant, zone).utcoffset()
    return 0 if shift is None else int(shift.total_seconds())


def _instant(at: int | datetime) -> float:
    if isinstance(at, datetime):
        if at.utcoffset() is None:
            raise InvalidWindowError(
                "A time without a zone is no instant.", hint="Give it one, or give seconds."
            )
        return at.timestamp() // 1
    return at


def _seconds(clock: str) -> int:
    match = _CLOCK.fullmatch(clock)
    if match is None:
        raise InvalidWindowError(
            f"{clock[:20]!r} is no time of day.", hint="Write HH:MM, 00:00 to 23:59."
        )
    return int(match[1]) * 3_600 + int(match[2]) * 60
