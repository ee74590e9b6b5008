"""Waiting for moments that the log knows, by the host's clock.

A deadline is a moment and not a length of time, so a run that is resumed does not get its time
again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from toka.orchestration._faults import single_error
from toka.types import NANOSECONDS, SystemClock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from toka.types import Clock


async def wait_until(clock: Clock, moment: int) -> None:
    """Wait until `clock.now()` has reached `moment`."""
    while (left := moment - clock.now()) > 0:
        await clock.sleep(left)


async def ends_by(
    clock: Clock, deadline: int | None, function: Callable[[], Awaitable[None]]
) -> bool:
    """Run `function`, cancel it at `deadline`, and return whether it ended by then.

    Args:
        clock: Whose `now` the deadline is measured by.
        deadline: Nanoseconds since the Unix epoch; None for no limit.
        function: What must end by then.
    """
    if deadline is None:
        await function()
        return True
    if isinstance(clock, SystemClock):
        # The loop measures the same time, with a timer that costs a tenth of a task that sleeps.
        with anyio.move_on_after((deadline - clock.now()) / NANOSECONDS) as scope:
            await function()
        return not scope.cancel_called
    ended = False
    with single_error():
        async with anyio.create_task_group() as group:
            group.start_soon(_cancel_at, clock, deadline, group.cancel_scope)
            await function()
            # What could not be interrupted, a commit for example, may have ended too late.
            ended = not group.cancel_scope.cancel_called
            group.cancel_scope.cancel()
    return ended


async def _cancel_at(clock: Clock, deadline: int, scope: anyio.CancelScope) -> None:
    await wait_until(clock, deadline)
    scope.cancel()
