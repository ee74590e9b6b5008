"""The five algorithms as pure functions on whole numbers.

Each reads a state, a tuple of integers below 2**53 that is empty for a key that was never seen, and
takes or gives back a cost at a time. None of them believes times that lie further ahead than its
own writing could have put them, because a clock stepped back or the limit was changed: such a state
counts as if it were of now, and is written so even with a refusal. So nobody is locked out for
longer than the limit itself could, and nobody gains anything.

An algorithm is a function of a limit, which binds what never changes and returns `Rules`: of a hit
in memory, which takes half a microsecond, looking those numbers up would be a third.

`_script.lua` says the same in Lua for Redis. A differential test holds the two together, number by
number, so change both.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from toka.rate_limiter._decision import LimitStatus
from toka.rate_limiter._errors import StorageUnavailable
from toka.rate_limiter._limit import MAX_EXACT, Algorithm

if TYPE_CHECKING:
    from collections.abc import Callable

    from toka.rate_limiter._limit import Limit

State: TypeAlias = "tuple[int, ...]"
Taken: TypeAlias = "tuple[State | None, LimitStatus]"

_STATE: Final = re.compile(r"\d{1,16}(,\d{1,16})*")


class Rules(NamedTuple):
    """One algorithm under one limit."""

    limit: Limit
    take: Callable[[State, int, int], Taken]
    """Of a state, a time and a cost, return the next state, or None where it stays as it is, and
    what to answer. A cost of zero is always admitted."""
    give: Callable[[State, int, int], State]
    """Give a cost back, never more than was spent and still counts."""
    size: int | None
    """Numbers in a state; None where it varies, in pairs."""


def rules_for(limit: Limit) -> Rules:
    """Return the rules of a limit."""
    return _ALGORITHMS[limit.algorithm](limit)


def read_state(rules: Rules, text: object) -> State:
    """Read a state as text: integers with commas between.

    Raises:
        StorageUnavailable: It is no state of this algorithm.
    """
    if isinstance(text, str) and _STATE.fullmatch(text):
        state = tuple(map(int, text.split(",")))
        fits = len(state) == rules.size if rules.size else len(state) % 2 == 0
        if fits and max(state) <= MAX_EXACT:
            return state
    raise StorageUnavailable(
        f"The storage of limit {rules.limit.name!r} holds something else.",
        hint="Reset the bucket, or use a storage that nothing else writes to.",
    )


def _up(dividend: int, divisor: int) -> int:
    return -(-dividend // divisor)


def _gcra(limit: Limit) -> Rules:
    """Generic cell rate algorithm (ITU-T I.371, annex A) on exact numbers.

    The state is the moment at which all is paid back: microseconds, and a fraction of one in units
    of which `rate` make a microsecond.
    """
    rate, interval = limit.rate, limit.interval
    full = limit.capacity * interval
    furthest = full // rate

    def take(state: State, now: int, cost: int) -> Taken:
        debt = 0
        if state and (ahead := state[0] - now) >= 0:
            # Never more than a full debt, whatever is stored, and so always exact.
            debt = full if ahead >= furthest else ahead * rate + state[1] % rate
        after = debt + cost * interval
        if after > full:
            retry = None if cost > limit.capacity else _up(after - full, rate)
            status = LimitStatus(limit, False, (full - debt) // interval, _up(debt, rate), retry)
            strange = retry is not None and state[0] - now > furthest
            return ((now + furthest, full % rate) if strange else None), status
        ahead, fraction = divmod(after, rate)
        whole = ahead + 1 if fraction else ahead
        status = LimitStatus(limit, True, (full - after) // interval, whole, 0)
        return (now + ahead, fraction), status

    def take_whole(state: State, now: int, cost: int) -> Taken:
        """Take where the quota divides the microseconds of the period: nothing has a fraction."""
        if state:
            ahead = state[0] - now
            if ahead >= furthest:
                return take(state, now, cost)
            after = cost * interval if ahead < 0 else ahead + cost * interval
            if after <= full:
                status = LimitStatus(limit, True, (full - after) // interval, after, 0)
                return (now + after, 0), status
        return take(state, now, cost)

    def give(state: State, now: int, cost: int) -> State:
        whole, fraction = take(state, now, 0)[0] or (now, 0)
        debt = (whole - now) * rate + fraction - min(cost, limit.capacity) * interval
        ahead, fraction = divmod(max(0, debt), rate)
        return now + ahead, fraction

    return Rules(limit, take_whole if rate == 1 else take, give, 2)


def _token_bucket(limit: Limit) -> Rules:
    """Tokens that flow in evenly, up to the capacity.

    The state is whole tokens, a fraction of one in units of which `interval` make a token, and
    when that was so. Nothing flows in while the clock has not yet reached that time.
    """
    rate, interval = limit.rate, limit.interval
    full = limit.capacity * interval
    longest = full // rate + 1

    def level_of(state: State, now: int) -> int:
        if not state:
            return full
        tokens, fraction, since = state
        elapsed = min(max(0, now - since), longest)
        held = min(tokens, limit.capacity) * interval + min(fraction, interval - 1)
        return min(full, held + elapsed * rate)

    def take(state: State, now: int, cost: int) -> Taken:
        level = level_of(state, now)
        after = level - cost * interval
        if after < 0:
            retry = None if cost > limit.capacity else _up(-after, rate)
            left, fraction = divmod(level, interval)
            strange = retry is not None and state[2] > now
            status = LimitStatus(limit, False, left, _up(full - level, rate), retry)
            return ((left, fraction, now) if strange else None), status
        tokens, fraction = divmod(after, interval)
        status = LimitStatus(limit, True, tokens, _up(full - after, rate), 0)
        return (tokens, fraction, now), status

    def give(state: State, now: int, cost: int) -> State:
        back = min(cost, limit.capacity) * interval
        tokens, fraction = divmod(min(full, level_of(state, now) + back), interval)
        return tokens, fraction, now

    return Rules(limit, take, give, 3)


def _fixed_window(limit: Limit) -> Rules:
    """A window that opens at the first hit: the state is when, and what was spent in it."""
    quota, period = limit.quota, limit.period

    def window_of(state: State, now: int) -> tuple[int, int]:
        if not state or now - state[0] >= period:
            return now, 0
        return min(state[0], now), state[1]

    def take(state: State, now: int, cost: int) -> Taken:
        opened, spent = window_of(state, now)
        closes = opened + period - now
        # Under a quota that was lowered, more may be spent than there is.
        remaining = max(0, quota - spent)
        if cost > remaining:
            retry = None if cost > quota else closes
            strange = retry is not None and state[0] > now
            status = LimitStatus(limit, False, remaining, closes if spent else 0, retry)
            return ((opened, spent) if strange else None), status
        after = spent + cost
        status = LimitStatus(limit, True, remaining - cost, closes if after else 0, 0)
        return (opened, after), status

    def give(state: State, now: int, cost: int) -> State:
        opened, spent = window_of(state, now)
        return opened, max(0, spent - cost)

    return Rules(limit, take, give, 2)


def _sliding_counter(limit: Limit) -> Rules:
    """Two windows, of which the earlier counts by the part that lies within one period of now.

    The state is when the current window opened (windows follow one another without a gap), what
    was spent in it, and what was spent in the one before.
    """
    quota, period = limit.quota, limit.period

    def windows_of(state: State, now: int) -> tuple[int, int, int]:
        opened = now - now % period
        if not state:
            return opened, 0, 0
        behind = opened - state[0]
        if behind <= 0:
            # Also after a step back: what was spent counts in this window, not in a later one.
            return opened, state[1], state[2]
        return opened, 0, state[1] if behind <= period else 0

    def take(state: State, now: int, cost: int) -> Taken:
        opened, current, previous = windows_of(state, now)
        left = opened + period - now
        remaining = max(0, quota - current - _up(min(previous, quota) * left, period))
        if cost > remaining:
            retry = None if cost > quota else _counter_wait(limit, cost, (current, previous), left)
            strange = retry is not None and state[0] > opened
            status = LimitStatus(
                limit, False, remaining, _counter_whole(limit, left, current, previous), retry
            )
            return ((opened, current, previous) if strange else None), status
        current += cost
        whole = _counter_whole(limit, left, current, previous)
        return (opened, current, previous), LimitStatus(limit, True, remaining - cost, whole, 0)

    def give(state: State, now: int, cost: int) -> State:
        opened, current, previous = windows_of(state, now)
        return opened, max(0, current - cost), previous

    return Rules(limit, take, give, 3)


def _counter_whole(limit: Limit, left: int, current: int, previous: int) -> int:
    if current:
        return left + limit.period
    return left if previous else 0


def _counter_wait(limit: Limit, cost: int, spent: tuple[int, int], left: int) -> int:
    """Return when the estimate has sunk enough: in this window, or else in the next."""
    current, previous = min(spent[0], limit.quota), min(spent[1], limit.quota)
    room = limit.quota - current - cost
    if room >= 0:
        return left - room * limit.period // previous
    # In the next window the current one is the earlier, and nothing else counts.
    return left + limit.period - (limit.quota - cost) * limit.period // current


def _sliding_log(limit: Limit) -> Rules:
    """Every hit that still counts: the state is the moment and cost of each, the oldest first."""
    quota, period = limit.quota, limit.period

    def take(state: State, now: int, cost: int) -> Taken:
        entries = _entries(state, now, period)
        spent = sum(entries[1::2])
        remaining = max(0, quota - spent)
        if cost > remaining:
            whole = entries[-2] + period - now if entries else 0
            retry = None
            if cost <= quota:
                retry = _moment_without(entries, spent + cost - quota) + period - now
            strange = retry is not None and state[-2] > now
            status = LimitStatus(limit, False, remaining, whole, retry)
            return (tuple(entries) if strange else None), status
        if cost and entries and entries[-2] == now:
            entries[-1] += cost
        elif cost:
            entries += (now, cost)
        whole = entries[-2] + period - now if entries else 0
        return tuple(entries), LimitStatus(limit, True, remaining - cost, whole, 0)

    def give(state: State, now: int, cost: int) -> State:
        entries = _entries(state, now, period)
        while entries and cost:
            back = min(cost, entries[-1])
            cost -= back
            entries[-1] -= back
            if not entries[-1]:
                del entries[-2:]
        return tuple(entries)

    return Rules(limit, take, give, None)


def _entries(state: State, now: int, period: int) -> list[int]:
    """Return what still counts; what the clock has not reached yet counts as of now."""
    if not state or (state[0] > now - period and state[-2] <= now):
        return list(state)
    entries: list[int] = []
    for index in range(0, len(state), 2):
        if state[index] > now - period:
            entries += (min(state[index], now), state[index + 1])
    return entries


def _moment_without(entries: list[int], excess: int) -> int:
    """Return the moment of the entry with which enough of the oldest have gone."""
    index = 0
    while (excess := excess - entries[index + 1]) > 0:
        index += 2
    return entries[index]


_ALGORITHMS: Final = {
    Algorithm.GCRA: _gcra,
    Algorithm.TOKEN_BUCKET: _token_bucket,
    Algorithm.FIXED_WINDOW: _fixed_window,
    Algorithm.SLIDING_COUNTER: _sliding_counter,
    Algorithm.SLIDING_LOG: _sliding_log,
}
