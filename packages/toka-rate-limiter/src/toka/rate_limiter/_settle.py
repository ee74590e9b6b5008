"""One action on several buckets: all of them, or none.

Pure; the storages that compute here read the states before and write what comes back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from toka.rate_limiter._decision import LimitStatus
from toka.rate_limiter._limit import SECOND
from toka.rate_limiter._storage import Action

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toka.rate_limiter._algorithms import Rules, State


def settle(
    action: Action,
    rules: Sequence[Rules],
    before: Sequence[State | None],
    now: int,
    cost: int,
) -> tuple[list[State | None], list[LimitStatus]]:
    """Return the next state of each bucket, and each status.

    Args:
        action: What to do.
        rules: One for each bucket.
        before: The state of each bucket; None where there is none. Next states have None where
            nothing is to be written, and an empty state for a bucket to forget.
        now: The storage's time.
        cost: What to spend or to give back.
    """
    if action is Action.HIT:
        return _hit(rules, before, now, cost)
    if action is Action.PEEK:
        return [None] * len(rules), _peek_all(rules, before, now, cost)
    after: list[State | None] = []
    for each, state in zip(rules, before, strict=True):
        if state is None:
            after.append(None)  # There is nothing to give back or to forget.
        else:
            after.append(() if action is Action.RESET else each.give(state, now, cost))
    return after, _peek_all(rules, after, now, 1)


def newcomers(before: Sequence[State | None], after: Sequence[State | None]) -> int:
    """Return how many buckets would be new."""
    return sum(1 for old, new in zip(before, after, strict=True) if old is None and new is not None)


def turn_away(
    before: Sequence[State | None], after: Sequence[State | None], statuses: Sequence[LimitStatus]
) -> tuple[list[State | None], list[LimitStatus]]:
    """Do without new buckets, where there is no room: refuse, or leave a shadow uncounted."""
    new = [old is None and state is not None for old, state in zip(before, after, strict=True)]
    if any(
        is_new and not status.limit.shadow for is_new, status in zip(new, statuses, strict=True)
    ):
        refusals = [
            status
            if status.limit.shadow
            else LimitStatus(status.limit, False, 0, status.reset_after, SECOND)
            for status in statuses
        ]
        return [None] * len(after), refusals
    kept = [None if is_new else state for is_new, state in zip(new, after, strict=True)]
    return kept, list(statuses)


def _hit(
    rules: Sequence[Rules], before: Sequence[State | None], now: int, cost: int
) -> tuple[list[State | None], list[LimitStatus]]:
    after: list[State | None] = []
    statuses: list[LimitStatus] = []
    for each, state in zip(rules, before, strict=True):
        taken, status = each.take(state or (), now, cost)
        after.append(taken)
        statuses.append(status)
    if all(status.admitted or status.limit.shadow for status in statuses):
        return after, statuses
    # Nobody spends, shadows included; those that would have admitted say what they still have. What
    # those that refuse want to write is no spending, see `_algorithms`.
    mended = [
        None if status.admitted else state for state, status in zip(after, statuses, strict=True)
    ]
    return mended, _peek_all(rules, before, now, cost)


def _peek_all(
    rules: Sequence[Rules], states: Sequence[State | None], now: int, cost: int
) -> list[LimitStatus]:
    return [_peek(each, state or (), now, cost) for each, state in zip(rules, states, strict=True)]


def _peek(rules: Rules, state: State, now: int, cost: int) -> LimitStatus:
    _, held = rules.take(state, now, 0)
    _, asked = rules.take(state, now, cost)
    return LimitStatus(
        rules.limit, asked.admitted, held.remaining, held.reset_after, asked.retry_after
    )
