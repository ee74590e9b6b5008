"""What is limited: how many, in how long, counted how, and by what."""

from __future__ import annotations

import enum
import re
from math import gcd
from typing import Final

import attrs

from toka.rate_limiter._errors import InvalidLimitError

SECOND: Final = 1_000_000
"""All times of this package are whole microseconds."""
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

MAX_EXACT: Final = 2**53
"""Redis computes in doubles, which are exact up to here. What exceeds it is refused everywhere, so
that a limit that works in memory works in Redis too, to the same microsecond."""
MAX_LOG_QUOTA: Final = 10_000
"""A sliding log keeps every hit; this many take 80 kilobytes in memory, and 300 in a database."""
MAX_PERIOD: Final = 366 * DAY

_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_FULL_PERCENT: Final = 100


class Algorithm(enum.Enum):
    """How hits are counted."""

    GCRA = "gcra"
    """Evenly spaced, with a burst; one word of state. The usual choice."""
    TOKEN_BUCKET = "token-bucket"  # noqa: S105 - no secret
    """Tokens flow in evenly and are kept up to the burst; decides exactly as GCRA does."""
    FIXED_WINDOW = "fixed-window"
    """The window opens at a key's first hit. Around its end twice the quota may pass at once."""
    SLIDING_COUNTER = "sliding-counter"
    """Estimates from two windows, as if the hits of the earlier one were spread evenly. No burst
    passes more than the quota; in a whole period almost twice the quota can, at worst, if all hits
    of the earlier window came at its very end."""
    SLIDING_LOG = "sliding-log"
    """Exact over every interval; remembers each hit, so its quota is bounded."""

    __hash__ = object.__hash__  # Members are single objects; the inherited one is slow Python.


_BUCKETS: Final = frozenset({Algorithm.GCRA, Algorithm.TOKEN_BUCKET})


@attrs.frozen
class Limit:
    """So many in such a time, for each value of the facts that it counts by.

    Two limits of one name, algorithm and `by` share their count: after a change of quota or period
    what was spent still counts, by the new measure.

    Raises:
        InvalidLimitError: A number is out of range, or a name is not in lower-case ASCII.
    """

    name: str
    """Is shown to clients, in header fields."""
    quota: int
    period: int
    """In microseconds: `MINUTE`, or `15 * MINUTE`."""
    by: tuple[str, ...] = ("key",)
    """Names of the facts that together make the key, for example `("user", "ip")`."""
    algorithm: Algorithm = Algorithm.GCRA
    burst: int | None = None
    """How many may come at once, for the two algorithms that space evenly; the quota if left out.

    From 2 on whoever hits as soon as he may gets the quota exactly, however long. With 1 nothing
    makes up for a hit that comes late, so it is one in every `period / quota` microseconds, rounded
    up to a whole one.
    """
    shadow: bool = False
    """Count and report, but never refuse."""
    rate: int = attrs.field(init=False, repr=False, eq=False)
    """Units that flow back each microsecond; `interval` units are one hit. Both are whole."""
    interval: int = attrs.field(init=False, repr=False, eq=False)
    capacity: int = attrs.field(init=False, repr=False, eq=False)
    """The most hits that can ever pass at once."""

    def __attrs_post_init__(self) -> None:
        _check(self)
        common = gcd(self.quota, self.period)
        object.__setattr__(self, "rate", self.quota // common)
        object.__setattr__(self, "interval", self.period // common)
        object.__setattr__(self, "capacity", self.burst or self.quota)
        if _largest_number(self) > MAX_EXACT:
            raise InvalidLimitError(
                f"Limit {self.name!r} needs numbers over 2**53, which Redis cannot count exactly.",
                hint="Choose a smaller quota or burst, or a shorter period.",
            )

    def scaled(self, percent: int) -> Limit:
        """Return the limit with so much of its quota and burst, at least one hit.

        Raises:
            InvalidLimitError: The percentage is not from 1 to 100.
        """
        if type(percent) is not int or not 1 <= percent <= _FULL_PERCENT:
            raise InvalidLimitError(f"A limit is scaled to 1 to 100 percent, not {percent!r}.")
        if percent == _FULL_PERCENT:
            return self
        quota = max(1, self.quota * percent // _FULL_PERCENT)
        burst = self.burst and max(1, self.burst * percent // _FULL_PERCENT)
        return attrs.evolve(self, quota=quota, burst=burst)


def _check(limit: Limit) -> None:
    for label, name in [("name", limit.name), *[("fact", fact) for fact in limit.by]]:
        if not _NAME.fullmatch(name):
            raise InvalidLimitError(
                f"The {label} {name[:80]!r} of a limit is not in lower-case ASCII.",
                hint="Use letters, digits, '-' and '_', at most 64, and a letter first.",
            )
    if not limit.by or len(set(limit.by)) != len(limit.by):
        raise InvalidLimitError(f"Limit {limit.name!r} counts by no fact, or twice by one.")
    _check_number(limit, "quota", limit.quota, MAX_EXACT)
    _check_number(limit, "period", limit.period, MAX_PERIOD)
    if limit.burst is not None:
        if limit.algorithm not in _BUCKETS:
            raise InvalidLimitError(f"Limit {limit.name!r} is a window, which has no burst.")
        _check_number(limit, "burst", limit.burst, MAX_EXACT)
    if limit.algorithm is Algorithm.SLIDING_LOG:
        _check_number(limit, "quota", limit.quota, MAX_LOG_QUOTA)


def _check_number(limit: Limit, label: str, value: object, maximum: int) -> None:
    if type(value) is not int or not 1 <= value <= maximum:
        raise InvalidLimitError(
            f"The {label} of limit {limit.name!r} is no whole number from 1 to {maximum}."
        )


def _largest_number(limit: Limit) -> int:
    """Return what no intermediate number of any algorithm exceeds."""
    if limit.algorithm in _BUCKETS:
        # Full, and one hit of the whole capacity on top, and a partial microsecond.
        return 2 * limit.capacity * limit.interval + limit.rate
    if limit.algorithm is Algorithm.SLIDING_COUNTER:
        return 2 * limit.quota * limit.period
    return limit.quota
