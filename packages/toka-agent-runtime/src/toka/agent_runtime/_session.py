"""One holding of a task: the lease, and everything that is submitted under it.

Rules of this module:

* Whoever finds out that the lease is void stops the whole run at once: what the run would do from
  then on is somebody else's to do.
* A stop is a cancellation of the run's scope, not an error: no `except` of a program swallows it.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Final, NoReturn, TypeVar, cast

import anyio
import attrs

from toka.agent_runtime._outcome import cancelled, released
from toka.runtime import Rejected
from toka.types import NANOSECONDS, Message, ReleaseTask, RenewLease, TokaError, agent_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from toka.agent_runtime._outcome import TaskOutcome
    from toka.kernel import KernelEvent, KernelState
    from toka.runtime import Logged, Receipt, Runtime
    from toka.types import AgentId, Clock, Operation, TaskId

T = TypeVar("T")

VOID: Final = frozenset(
    {
        "kernel.stale_fence",
        "kernel.unknown_agent",
        "kernel.unknown_task",
        "kernel.wrong_state",
    }
)
"""Rejections that mean: this run is not to go on."""

LOOK_EVERY: Final = NANOSECONDS // 2
"""How often a run that is busy with an effect looks whether it is still wanted."""


@attrs.define(eq=False)
class Session:
    """What a run needs to act in the name of its task."""

    runtime: Runtime
    task: TaskId
    token: Callable[[], str] = attrs.field(repr=False)
    fence: int
    attempt: int
    lease: int
    """Nanoseconds."""
    on_event: Callable[[KernelEvent], None] | None = None
    scope: anyio.CancelScope = attrs.field(factory=anyio.CancelScope)
    stopped: TaskOutcome | None = None
    """Why the run was stopped, if it was."""
    fault: TokaError | None = None
    """What keeps the run from recording anything, if something does."""

    @property
    def agent(self) -> AgentId:
        """The agent that the task belongs to."""
        return agent_of(self.task)

    @property
    def clock(self) -> Clock:
        """The host's clock."""
        return self.runtime.clock

    async def submit(self, operation: Operation, key: str = "") -> Receipt:
        """Submit an operation, and return once it is on disk.

        Raises:
            Rejected: The kernel refused it, for a reason that does not end the run.

        """
        try:
            receipt = await self.runtime.submit(Message(self.token(), operation, key))
        except Rejected as rejected:
            if rejected.code in VOID:
                await self._give_up(rejected)
            raise
        if self.on_event is not None:
            for event in receipt.events:
                self.on_event(event)
        return receipt

    async def authorize(self, operation: Operation) -> None:
        """Ask whether an operation would be accepted; nothing is recorded.

        Raises:
            Rejected: It would not.

        """
        try:
            self.runtime.authorize(Message(self.token(), operation))
        except Rejected as rejected:
            if rejected.code in VOID:
                await self._give_up(rejected)
            raise

    def stop(self, outcome: TaskOutcome) -> None:
        """Cancel the run; the first reason given is the one that counts."""
        if self.stopped is None:
            self.stopped = outcome
        self.scope.cancel()

    def abort(self, fault: TokaError) -> None:
        """Cancel the run because of something that no `except` of its program may swallow."""
        if self.fault is None:
            self.fault = fault
        self.scope.cancel()

    async def _give_up(self, rejected: Rejected) -> NoReturn:
        self.stop(self._ended() or released(rejected.message))
        await anyio.sleep_forever()
        raise AssertionError  # the scope is cancelled, so nobody comes here

    def _ended(self) -> TaskOutcome | None:
        """Return why the run has nothing to do any more, as the committed state has it, or None.

        A suspension is no reason to break an effect off: it stops the run at its next step.
        """
        state = self.runtime.state
        agent, task = state.agent(self.agent), state.task(self.task)
        if agent is None or agent.ended:
            return cancelled(f"Agent {self.agent} has ended.")
        if task is None or task.phase == "cancelled":
            return cancelled(f"Task {self.task} was cancelled.")
        if task.fence != self.fence or task.lease is None:
            holder = "nobody" if task.lease is None else task.lease.holder
            return released(f"The lease was lost to {holder}.")
        return None

    async def keep_lease(self) -> None:
        """Renew the lease in time, and stop the run as soon as it is not wanted any more."""
        try:
            self.stop(await self._keep_lease())
        except TokaError as error:
            self.abort(error)

    async def _keep_lease(self) -> TaskOutcome:
        renew_at = self.clock.monotonic() + self.lease // 3
        while (ended := self._ended()) is None:
            if self.clock.monotonic() >= renew_at:
                await self.submit(RenewLease(self.task, self.fence, self.lease))
                renew_at = self.clock.monotonic() + self.lease // 3
            await self.clock.sleep(min(LOOK_EVERY, self.lease // 3))
        return ended

    async def release(self, reason: str) -> None:
        """Give the task back unfinished, if it is still ours to give."""
        if self._ended() is None:
            await self.runtime.submit(
                Message(self.token(), ReleaseTask(self.task, self.fence, reason))
            )

    async def until(
        self, find: Callable[[KernelState], T | None], deadline: int | None = None
    ) -> T | None:
        """Wait until `find` finds something in the committed state; return None at `deadline`.

        Args:
            find: Is asked now and after every event of this agent.
            deadline: Nanoseconds since the Unix epoch.

        """
        position = self.runtime.position
        found = find(self.runtime.state)
        if found is not None or (deadline is not None and self.clock.now() >= deadline):
            return found
        async with anyio.create_task_group() as group:
            if deadline is not None:
                group.start_soon(self._cancel_at, group.cancel_scope, deadline)
            events = cast("AsyncGenerator[Logged, None]", self.runtime.subscribe(position))
            async with aclosing(events):
                async for logged in events:
                    if logged.event.stream == self.agent:
                        found = find(self.runtime.state)
                    if found is not None:
                        break
            group.cancel_scope.cancel()
        return found

    async def _cancel_at(self, scope: anyio.CancelScope, deadline: int) -> None:
        while (left := deadline - self.clock.now()) > 0:
            await self.clock.sleep(left)
        scope.cancel()
