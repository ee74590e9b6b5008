"""A time limit that a `Clock` measures, so that tests need not wait for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import anyio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from toka.types import Clock

T = TypeVar("T")


class Expired(Exception):
    """The time was up."""


async def within(clock: Clock, nanoseconds: int | None, function: Callable[[], Awaitable[T]]) -> T:
    """Return what `function` returns, unless it takes longer than it may; None is no limit.

    Raises:
        Expired: It was cancelled because the time was up.

    """
    if nanoseconds is None:
        return await function()
    results: list[T] = []
    failures: list[Exception] = []
    async with anyio.create_task_group() as group:
        with anyio.CancelScope() as scope:
            group.start_soon(_cancel_after, clock, nanoseconds, scope)
            try:
                results.append(await function())
            except Exception as error:  # noqa: BLE001 - raised below, outside the task group
                failures.append(error)
        group.cancel_scope.cancel()
    for failure in failures:
        raise failure
    if not results:
        raise Expired
    return results[0]


async def _cancel_after(clock: Clock, nanoseconds: int, scope: anyio.CancelScope) -> None:
    await clock.sleep(nanoseconds)
    scope.cancel()
