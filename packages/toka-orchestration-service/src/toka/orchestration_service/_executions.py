"""Runs that go on: one task for each, all in one group, cancelled together and resumable."""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING, Final, cast

import anyio
import attrs

from toka.orchestration_service._errors import TooMany
from toka.runtime import LogFailed, RuntimeClosed
from toka.types import TokaError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anyio.abc import TaskGroup, TaskStatus

    from toka.orchestration import Orchestrator
    from toka.orchestration_service._live import Live
    from toka.types import AgentId

logger = logging.getLogger(__name__)

PATIENCE_SECONDS: Final = 3.0
"""How long whoever would begin a run waits for room before being refused."""
MAX_WAITING: Final = 256
"""How many wait for room; further ones are refused at once."""


@attrs.frozen
class Stopped:
    """Why nothing goes on with a run that has not ended."""

    run: AgentId
    reason: str


class Executions:
    """Executes runs until it is cancelled, which leaves them resumable."""

    def __init__(self, orchestrator: Orchestrator, live: Live) -> None:
        self._orchestrator = orchestrator
        self._live = live
        self._active: set[AgentId] = set()
        self._stopped: dict[AgentId, Stopped] = {}
        self._waiting: deque[anyio.Event] = deque()
        self._group: TaskGroup | None = None
        self.changes = 0
        """Grows whenever a run begins or ceases to go on."""

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Go on with every unfinished run, and with those that are begun from now on.

        Raises:
            LogFailed: The log cannot be written; nothing can go on.
        """
        async with anyio.create_task_group() as group:
            self._group = group
            for run in self._orchestrator.unfinished():
                self.start(run)
            task_status.started()
            await anyio.sleep_forever()

    def start(self, run: AgentId) -> None:
        """Go on with a run, unless that is happening."""
        if run in self._active or self._group is None:
            return
        self._active.add(run)
        self.changes += 1
        self._stopped.pop(run, None)
        self._group.start_soon(self._execute, run, name=f"run {run}")

    async def wait_for_room(self) -> None:
        """Wait until one more run may begin: who came first goes first.

        Short crowds are slowed down by this to the pace at which runs end, and not sent away.

        Raises:
            TooMany: As many are unfinished as are accepted, and none has ended for a while.
        """
        if self._has_room() and not self._waiting:
            return
        if len(self._waiting) < MAX_WAITING:
            room = anyio.Event()
            self._waiting.append(room)
            with anyio.move_on_after(PATIENCE_SECONDS):
                try:
                    await room.wait()
                finally:
                    if not room.is_set():
                        self._waiting.remove(room)
            if room.is_set():
                return
        raise TooMany(
            f"{self._live.unfinished_runs} runs are unfinished, the most that are accepted.",
            hint="Wait for one to end, or cancel one.",
        )

    def _has_room(self) -> bool:
        return len(self._active) < self._live.unfinished_runs

    @property
    def active(self) -> frozenset[AgentId]:
        """The runs that go on now."""
        return frozenset(self._active)

    @property
    def stopped(self) -> Stopped | None:
        """The run that stopped last without having ended, if any did."""
        return next(reversed(self._stopped.values()), None)

    async def _execute(self, run: AgentId) -> None:
        limiter = self._live.limiter
        try:
            try:
                # Waiting where there is room would cost a turn of the loop.
                limiter.acquire_nowait()
            except anyio.WouldBlock:
                await limiter.acquire()
            try:
                result = await self._orchestrator.execute(run)
            finally:
                limiter.release()
            logger.info("run %s is %s", run, result.state)
        except Exception as error:
            # The outermost loop of a run: its fault must not end the other runs.
            cause = next(_leaves(error))
            if isinstance(cause, LogFailed):
                raise
            if not isinstance(cause, RuntimeClosed):
                self._note(run, cause)
        finally:
            self._active.discard(run)
            self.changes += 1
            if self._waiting and self._has_room():
                self._waiting.popleft().set()

    def _note(self, run: AgentId, cause: BaseException) -> None:
        if isinstance(cause, TokaError):
            logger.error("run %s stopped before its end: %s", run, cause)
            self._stopped[run] = Stopped(run, str(cause))
            return
        logger.error("run %s stopped before its end", run, exc_info=cause)
        # What an error of somebody else's says may hold anything; the log alone has it.
        self._stopped[run] = Stopped(run, f"unexpected {type(cause).__name__}")


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in cast("BaseExceptionGroup[BaseException]", error).exceptions:
            yield from _leaves(inner)
    else:
        yield error
