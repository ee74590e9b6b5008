"""Follows a run that goes on: draws its events, and sees when only a person can help."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio

from toka.orchestration import Runs
from toka.types import root_of

if TYPE_CHECKING:
    from toka.cli._progress import Progress
    from toka.kernel import StartedStep, TaskState
    from toka.orchestration import RunView
    from toka.runtime import Runtime
    from toka.types import TaskId

GRACE_SECONDS: Final = 0.5
"""How long nothing but open questions must be left. Too early is no harm: the run is resumable."""


class Follower:
    """Keeps a run's view up to date with the log."""

    def __init__(self, runtime: Runtime, view: RunView, progress: Progress) -> None:
        self._runtime = runtime
        self._view = view
        self._progress = progress
        self._runs = Runs()
        self._runs.by_id[root_of(view.run)] = view
        self._runs.position = view.position
        self._moved = anyio.Event()

    async def follow(self) -> None:
        """Take up events until cancelled, and show those of the run."""
        async for logged in self._runtime.subscribe(self._view.position):
            if self._runs.apply(logged) is self._view:
                self._progress.follow(self._view, logged)
            self._moved.set()

    async def reach(self, position: int) -> None:
        """Wait until everything up to a position has been shown."""
        while self._runs.position < position:
            await self._next()

    async def stop_when_waiting(self, scope: anyio.CancelScope) -> None:
        """Cancel `scope` when the run can do nothing before a person has answered."""
        while True:
            if self._waits():
                with anyio.move_on_after(GRACE_SECONDS) as quiet:
                    await self._next()
                if quiet.cancelled_caught:
                    scope.cancel()
                    return
            else:
                await self._next()

    async def _next(self) -> None:
        if self._moved.is_set():
            self._moved = anyio.Event()
        await self._moved.wait()

    def _waits(self) -> bool:
        """Say whether every task that runs has asked, and no effect of it is under way."""
        asked = {question.task for question in self._view.approvals.values()}
        running = [
            task.task
            for agent in self._view.agents.values()
            for task in agent.tasks.values()
            if task.phase in ("running", "asking")
        ]
        return bool(running) and all(task in asked and self._is_idle(task) for task in running)

    def _is_idle(self, task: TaskId) -> bool:
        known = self._runtime.state.task(task)
        return known is not None and all(_is_in_doubt(s, known) for s in known.started.values())


def _is_in_doubt(step: StartedStep, task: TaskState) -> bool:
    """Say whether an effect is one that an earlier run left: it is not done again unasked."""
    return step.effect in ("external", "privileged") and step.fence < task.fence
