"""One agent's life: spawned, its tasks scheduled and run, judged, ended, perhaps begun again.

Every part asks the log first what has happened already, so a life can be taken up anywhere: after
a crash nothing is spawned, scheduled or run twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import msgspec

from toka.orchestration._errors import OrchestrationError
from toka.orchestration._history import Verdict
from toka.orchestration._objectives import judge
from toka.orchestration._plan import active_tasks, plan_tasks
from toka.orchestration._ready import ready
from toka.orchestration._supervision import Supervisor
from toka.types import (
    NANOSECONDS,
    CancelTask,
    Failure,
    FinishAgent,
    RestartAgent,
    ScheduleTask,
    TaskSpec,
    child_agent,
    task_id,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toka.orchestration._conductor import Conductor
    from toka.orchestration._view import AgentView
    from toka.types import AgentSpec, Json, TaskDefinition

TIMED_OUT = "orchestration.agent_timed_out"
TASKS_FAILED = "orchestration.tasks_failed"
DEPENDENCY_FAILED = "orchestration.dependency_failed"


class Interrupted(OrchestrationError):
    """A task was given back unfinished, for somebody else or for later."""

    default_code = "orchestration.interrupted"


class AgentLife:
    """Drives one agent of a run until it has ended.

    Attributes:
        agent: The agent's path.
        spec: Its specification.
        results: What its tasks returned, by task id.
    """

    def __init__(self, conductor: Conductor, spec: AgentSpec, view: AgentView | None) -> None:
        self.agent = child_agent(conductor.run, spec.name)
        self.spec = spec
        self.results: dict[str, Json] = {}
        self._failures: dict[str, Failure] = {}
        self._conductor = conductor
        self._tasks = active_tasks(spec, conductor.inputs)
        self._plan = plan_tasks(self._tasks)
        self._numbers = {task.id: number for number, task in enumerate(self._tasks)}
        self._supervisor = Supervisor(spec.restart, tuple(view.restarts) if view else ())
        self._began = view.started if view else None
        self._take_up(view)

    def _take_up(self, view: AgentView | None) -> None:
        for number, task in view.tasks.items() if view else ():
            name = self._tasks[number].id
            if task.phase == "completed":
                self.results[name] = msgspec.json.decode(task.result or b"null")
            elif task.phase in ("failed", "cancelled"):
                self._failures[name] = Failure(TASKS_FAILED, task.reason)

    @property
    def ended(self) -> bool:
        """Whether the agent's life is over; that of one never spawned is not."""
        state = self._conductor.state_of(self.agent)
        return state is not None and state.ended

    @property
    def completed(self) -> bool:
        """Whether the agent ended well."""
        state = self._conductor.state_of(self.agent)
        return state is not None and state.phase == "completed"

    async def spawn(self) -> None:
        """Create the agent and its tasks, as far as the log does not have them.

        Raises:
            Rejected: The run may not spawn it.
            TimeoutError: It was not on disk in time.
        """
        with anyio.fail_after(self._conductor.definition.spawn_timeout / NANOSECONDS):
            if self._conductor.state_of(self.agent) is None:
                await self._conductor.spawn(self.spec)
            known = self._conductor.state_of(self.agent)
            if known is None or known.ended:
                return
            for number, task in list(enumerate(self._tasks))[known.next_task :]:
                spec = TaskSpec(task.description, task.priority)
                key = f"{self.agent}:schedule:{number}"
                await self._conductor.submit(ScheduleTask(self.agent, spec), key)

    async def give_up(self, reason: str) -> None:
        """End an agent that cannot be run because of another one.

        Raises:
            Rejected: The agent was ended by somebody else meanwhile.
        """
        await self._finish(Failure(DEPENDENCY_FAILED, reason), {})

    async def live(self, others: Mapping[str, Json]) -> None:
        """Run the tasks, with restarts as specified, and end the agent.

        Args:
            others: Results of the agents that this one depends on: by agent, then by task.

        Raises:
            Rejected: The agent was ended by somebody else.
            StepDiffers: The program is not the one that the run began with.
        """
        while True:
            failure = await self._run_in_time(others)
            await self._finish(failure, others)
            failed, now = failure is not None, self._conductor.clock.now()
            if not self._supervisor.restarts_after(failed=failed, now=now):
                return
            reason = failure.message if failure else "It completed, and it is to go on always."
            await self._conductor.submit(RestartAgent(self.agent, reason))
            self._failures.clear()
            self._began = None

    async def _run_in_time(self, others: Mapping[str, Json]) -> Failure | None:
        limit = self.spec.security.resource_limits.timeout
        if limit is None:
            return await self._run_tasks(others)
        now = self._conductor.clock.now()
        self._began = self._began if self._began is not None else now
        remaining = max(0, self._began + limit - now)
        with anyio.move_on_after(remaining / NANOSECONDS):
            return await self._run_tasks(others)
        return Failure(TIMED_OUT, f"It did not end within {limit / NANOSECONDS:g} s.")

    async def _run_tasks(self, others: Mapping[str, Json]) -> Failure | None:
        while True:
            following = ready(self._plan, self.results, self._failures, (), limit=1)
            for impossible in following.impossible:
                await self._cancel(impossible.name, impossible.reason)
            if following.is_over:
                return self._failure()
            for name in following.start:
                await self._run_task(self._tasks[self._numbers[name]], others)

    async def _cancel(self, name: str, reason: str) -> None:
        task = task_id(self.agent, self._numbers[name])
        await self._conductor.submit(CancelTask(task, reason))
        self._failures[name] = Failure(DEPENDENCY_FAILED, reason)

    async def _run_task(self, task: TaskDefinition, others: Mapping[str, Json]) -> None:
        identifier = task_id(self.agent, self._numbers[task.id])
        variables = self._variables(others)
        outcome = await self._conductor.run_task(self.spec, task, identifier, variables)
        if outcome.status == "released":
            raise Interrupted(outcome.failure.message if outcome.failure else "It was given back.")
        if outcome.failure is None:
            self.results[task.id] = outcome.result
        else:
            self._failures[task.id] = outcome.failure

    def _variables(self, others: Mapping[str, Json]) -> dict[str, Json]:
        """Return what expressions and code can see; own results stand beside those of others."""
        variables = self._conductor.variables(self.spec)
        return {**variables, "results": {**others, **self.results}}

    def _failure(self) -> Failure | None:
        if not self._failures:
            return None
        first, failure = next(iter(self._failures.items()))
        count = len(self._failures) - 1
        more = f" (and {count} more)" if count else ""
        return Failure(TASKS_FAILED, f"Task {first} failed{more}: {failure.message}")

    async def _finish(self, failure: Failure | None, others: Mapping[str, Json]) -> None:
        unfinished = failure.message if failure else ""
        verdict = Verdict(judge(self.spec.objectives, self._variables(others), unfinished))
        await self._conductor.submit(FinishAgent(self.agent, failure, verdict.encode()))
