"""Ctrl-C: once stops in an orderly way, twice stops at once."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, TypeVar

import anyio
import click

from toka.cli._exits import Exit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from anyio.abc import TaskStatus

T = TypeVar("T")


async def until_stopped(work: Callable[[], Awaitable[T]]) -> T | None:
    """Do `work`, and return what it returns; None if SIGINT or SIGTERM came first.

    The first signal cancels the work, which cleans up; the second leaves the process. Nothing is
    lost by leaving at once: what was acknowledged is on disk, and the rest is in doubt in the same
    way as after a crash.
    """
    done: list[T] = []
    scope = anyio.CancelScope()
    async with anyio.create_task_group() as group:
        await group.start(_watch, scope)
        with scope:
            done.append(await work())
        group.cancel_scope.cancel()
    return done[0] if done else None


async def _watch(scope: anyio.CancelScope, *, task_status: TaskStatus[None]) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        async for _ in signals:
            if scope.cancel_called:
                os._exit(Exit.INTERRUPTED)
            click.echo("Stopping; once more to stop at once.", err=True)
            scope.cancel()
