"""One agent's life: spawned, its tasks scheduled and run, judged, ended, perhaps begun again.

Every part asks the log first what has happened already, so a life can be taken up anywhere: after
a crash nothing is spawned, scheduled or run twice.

A restart does again what the kernel has kept: tasks that failed, and those that ended with the
agent. An agent that is begun again after it has completed has none of these; it gets its tasks
anew, numbered on, as another round.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from toka.orchestration._conductor import require_suspended, schedule_key
from toka.orchestration._errors import Interrupted
from toka.orchestration._history import Verdict
from toka.orchestration._objectives import judge
from toka.orchestration._plan import active_tasks, plan_tasks
from toka.orchestration._ready import ready
from toka.orchestration._supervision import begins_again
from toka.orchestration._time import ends_by
from toka.runtime import Rejected
from toka.types import (
    NANOSECONDS,
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

    from toka.agent_runtime import TaskOutcome
    from toka.orchestration._conductor import Conductor
    from toka.orchestration._run import ObjectiveResult
    from toka.orchestration._view import AgentView
    from toka.types import AgentSpec, Json, TaskDefinition

TIMED_OUT = "orchestration.agent_timed_out"
SPAWN_TIMED_OUT = "orchestration.spawn_timed_out"
TASKS_FAILED = "orchestration.tasks_failed"
DEPENDENCY_FAILED = "orchestration.dependency_failed"
AT_ONCE = 500
"""Tasks that are scheduled in the commit that spawns their agent."""


class AgentLife:
    """Drives one agent of a run until it has ended for good.

    Attributes:
        agent: The agent's path.
        spec: Its specification.
        results: What its tasks returned, by task id.
        refusal: Why it could not be spawned, if it could not.
    """

    def __init__(self, conductor: Conductor, spec: AgentSpec, view: AgentView | None) -> None:
        self.agent = child_agent(conductor.run, spec.name)
        self.spec = spec
        self.results: dict[str, Json] = {}
        self.refusal: Failure | None = None
        self._conductor = conductor
        self._tasks = active_tasks(spec, conductor.inputs)
        self._plan = plan_tasks(self._tasks)
        self._failures: dict[str, Failure] = {}
        self._objectives: tuple[ObjectiveResult, ...] = ()
        self._began: int | None = None
        self._ended = 0
        self._restarts: list[int] = []
        self._rounds = 0
        self._is_hopeless = False
        if view is not None:
            self._take_up(view)

    def _take_up(self, view: AgentView) -> None:
        self._began, self._ended = view.started, view.ended or 0
        self._restarts, self._rounds = list(view.restarts), view.rounds
        self._is_hopeless = view.code in (DEPENDENCY_FAILED, SPAWN_TIMED_OUT)
        self._objectives = Verdict.decode(view.result).objectives
        for name, number in self._numbers().items():
            task = view.tasks.get(number)
            if task is None:
                continue
            if task.phase == "completed":
                self.results[name] = msgspec.json.decode(task.result)
            elif task.phase in ("failed", "cancelled"):
                self._failures[name] = Failure(TASKS_FAILED, task.reason)

    @property
    def is_over(self) -> bool:
        """Whether the agent has ended, and is not to be begun again."""
        return self.refusal is not None or (
            self._phase in ("completed", "failed", "terminated") and not self._begins_again()
        )

    @property
    def completed(self) -> bool:
        """Whether the agent ended well."""
        return self._phase == "completed"

    @property
    def met(self) -> bool:
        """Whether it completed and met all its objectives."""
        return self.completed and all(each.met for each in self._objectives)

    @property
    def _phase(self) -> str:
        state = self._conductor.state_of(self.agent)
        return "" if state is None else state.phase

    async def spawn(self) -> None:
        """Create the agent and its tasks, as far as the log does not have them.

        If that cannot be, or takes too long, the agent has failed, and the others go on.
        """
        clock, limit = self._conductor.clock, self._conductor.definition.spawn_timeout
        try:
            if await ends_by(clock, clock.now() + limit, self._spawn):
                return
        except Rejected as rejected:
            self.refusal = Failure(rejected.code, f"It could not be spawned: {rejected.message}")
        else:
            text = f"It was not spawned within {limit / NANOSECONDS:g} s."
            self.refusal = Failure(SPAWN_TIMED_OUT, text)
        if self._phase:
            await self._finish(self.refusal, {})

    async def _spawn(self) -> None:
        if not self._phase:
            tasks = [self._operation(task) for task in self._tasks[:AT_ONCE]]
            await self._conductor.spawn(self.spec, tasks)
        await self._schedule()

    async def _schedule(self) -> None:
        """Schedule what this round still lacks."""
        state, first = self._conductor.state_of(self.agent), self._rounds * len(self._tasks)
        if state is None or state.ended:
            return
        for number in range(state.next_task, first + len(self._tasks)):
            operation = self._operation(self._tasks[number - first])
            await self._conductor.submit(operation, schedule_key(self.agent, number))

    def _operation(self, task: TaskDefinition) -> ScheduleTask:
        return ScheduleTask(self.agent, TaskSpec(task.description, task.priority))

    async def give_up(self, reason: str) -> None:
        """End an agent that cannot be run because of another one."""
        self._is_hopeless = True
        if self._phase:
            await self._finish(Failure(DEPENDENCY_FAILED, reason), {})

    async def live(self, others: Mapping[str, Json]) -> None:
        """Run the tasks, with restarts as specified, and end the agent.

        Args:
            others: Results of the agents that this one depends on: by agent, then by task.

        Raises:
            Rejected: The agent was ended by somebody else.
            StepDiffers: The program is not the one that the run began with.
            EntryInvalid: Code of a half-done task cannot be loaded any more.
        """
        while not self.is_over:
            if not self._begins_again() or await self._restart():
                failure = await self._run_in_time(others)
                await self._finish(failure, others)

    def _begins_again(self) -> bool:
        if self._is_hopeless or self._phase not in ("completed", "failed"):
            return False
        failed = self._phase == "failed"
        if failed and not self._conductor.tasks_of(self.agent):
            return False
        return begins_again(self.spec.restart, self._restarts, failed=failed, ended=self._ended)

    async def _restart(self) -> bool:
        """Begin again, and return whether that was allowed: its budget may be used up."""
        anew = self._phase == "completed"
        again = "begin again" if anew else "try again"
        reason = f"Its policy is to {again} (restart {len(self._restarts) + 1})."
        try:
            receipt = await self._conductor.submit(RestartAgent(self.agent, reason))
        except Rejected:
            self._is_hopeless = True
            return False
        self._restarts.append(receipt.events[0].time)
        self._began = None
        if anew:
            self._rounds += 1
            self.results.clear()
            await self._schedule()
        kept = self._conductor.tasks_of(self.agent)
        for name, number in self._numbers().items():
            if task_id(self.agent, number) in kept:
                self._failures.pop(name, None)
        return True

    async def _run_in_time(self, others: Mapping[str, Json]) -> Failure | None:
        clock, limit = self._conductor.clock, self.spec.security.resource_limits.timeout
        self._began = clock.now() if self._began is None else self._began
        deadline = None if limit is None else self._began + limit
        if await ends_by(clock, deadline, lambda: self._run_tasks(others)):
            return self._failure()
        return Failure(TIMED_OUT, f"It did not end within {(limit or 0) / NANOSECONDS:g} s.")

    async def _run_tasks(self, others: Mapping[str, Json]) -> None:
        while True:
            # What waits for a failed task ends with the agent, and with it may be revived.
            following = ready(self._plan, self.results, self._failures, (), limit=1)
            if following.is_over:
                return
            for name in following.start:
                outcome = await self._run_task(name, self._variables(others))
                if outcome.failure is None:
                    self.results[name] = outcome.result
                else:
                    self._failures[name] = outcome.failure

    async def _run_task(self, name: str, variables: dict[str, Json]) -> TaskOutcome:
        task = next(task for task in self._tasks if task.id == name)
        identifier = task_id(self.agent, self._numbers()[name])
        given_back: object = None
        while True:
            await self._conductor.until_active(self.agent)
            moment = self._conductor.moment_of(self.agent)
            try:
                outcome = await self._conductor.run_task(self.spec, task, identifier, variables)
            except Rejected as rejected:
                await require_suspended(rejected)
                continue
            if outcome.status != "released":
                return outcome
            # Its agent was suspended under it, or another holder has taken it, and then starting
            # it is refused with that one's name. Anything else would go on for ever.
            if given_back == moment:
                raise Interrupted(outcome.failure.message if outcome.failure else identifier)
            given_back = moment

    def _numbers(self) -> dict[str, int]:
        first = self._rounds * len(self._tasks)
        return {task.id: first + index for index, task in enumerate(self._tasks)}

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
        self._objectives = judge(self.spec.objectives, self._variables(others), unfinished)
        finish = FinishAgent(self.agent, failure, Verdict(self._objectives).encode())
        receipt = await self._conductor.finish(finish)
        self._ended = receipt.events[-1].time
