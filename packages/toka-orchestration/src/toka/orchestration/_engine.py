"""The engine: which agents run, and when, until the run has ended.

The engine holds no state that matters. What it knows it read from the log, and what it decides it
asks the kernel for; killed at any moment, the next `execute` goes on where the log ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import attrs

from toka.kernel import AgentSpawned, AgentTerminated
from toka.orchestration._agent_life import AgentLife
from toka.orchestration._conductor import Conductor
from toka.orchestration._definition import permissions_of_agents
from toka.orchestration._history import find_run, load_run, result_of
from toka.orchestration._plan import plan
from toka.orchestration._ready import ready
from toka.orchestration._run import RunDefinition
from toka.orchestration._spec_set import SpecSet
from toka.runtime import Rejected
from toka.types import (
    NANOSECONDS,
    AgentId,
    Failure,
    FinishAgent,
    Message,
    SpawnAgent,
    TerminateAgent,
    agent_name,
    root_agent,
)

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from toka.agent_runtime import AgentRuntime
    from toka.orchestration._grants import TokenDesk
    from toka.orchestration._run import RunResult
    from toka.orchestration._view import RunView
    from toka.runtime import Runtime
    from toka.types import Json

NOT_MET = "orchestration.objectives_not_met"
RUN_TIMED_OUT = "orchestration.run_timed_out"


class Orchestrator:
    """Begins runs, goes on with them, and ends them, on one runtime."""

    def __init__(self, runtime: Runtime, agents: AgentRuntime, desk: TokenDesk) -> None:
        self.runtime = runtime
        self._agents = agents
        self._desk = desk

    async def find(self, key: str) -> RunView | None:
        """Return the newest run with that key, or None.

        Raises:
            StoreError: The log cannot be read.
        """
        run = await find_run(self.runtime.store, key)
        return None if run is None else await load_run(self.runtime.store, run)

    async def begin(
        self, definition: RunDefinition, token: str, *, idempotency_key: str = ""
    ) -> AgentId:
        """Record a new run under the caller's token, and return its id. `execute` then runs it.

        Raises:
            AuthenticationError: The token is not good.
            Rejected: The token does not cover what the run's agents ask for.
        """
        spawn = SpawnAgent(
            None, definition.name, permissions_of_agents(definition), spec=definition.encode()
        )
        receipt = await self.runtime.submit(Message(token, spawn, idempotency_key))
        spawned = (event for event in receipt.events if isinstance(event.body, AgentSpawned))
        return AgentId(next(spawned).stream)

    def unfinished(self) -> tuple[AgentId, ...]:
        """Return the runs that have not ended, oldest first."""
        return tuple(sorted(root_agent(root) for root in self.runtime.state.families))

    async def cancel(self, run: AgentId, reason: str, token: str) -> None:
        """End a run and all its agents, whatever they do.

        Raises:
            AuthenticationError: The token is not good.
            Rejected: The token does not cover it, or the run has ended.
        """
        await self.runtime.submit(Message(token, TerminateAgent(run, reason)))

    async def execute(self, run: AgentId) -> RunResult:
        """Run or resume until the run has ended.

        Cancelling this gives the tasks back, so that the run can be gone on with at once.

        Raises:
            UnknownRun: There is no such run.
            StepDiffers: A program is not the one that the run began with.
            LogFailed: The log could not be written.
        """
        view = await load_run(self.runtime.store, run)
        if not view.ended:
            definition = RunDefinition.decode(view.spec)
            await anyio.Path(definition.artifacts).mkdir(parents=True, exist_ok=True)
            conductor = Conductor(self.runtime, self._agents, self._desk, run, definition)
            await _Execution(self.runtime, conductor, view).run()
            view = await load_run(self.runtime.store, run)
        return result_of(view)


@attrs.define
class _Ends:
    """Names of agents by how they ended."""

    done: set[str] = attrs.Factory(set)
    failed: set[str] = attrs.Factory(set)
    running: set[str] = attrs.Factory(set)


class _Execution:
    """One going-on with a run."""

    def __init__(self, runtime: Runtime, conductor: Conductor, view: RunView) -> None:
        self._runtime = runtime
        self._conductor = conductor
        self._definition = conductor.definition
        self._plan = plan(SpecSet(conductor.definition.agents))
        views = {agent.name: agent for path, agent in view.agents.items() if path != view.run}
        self._began = view.began
        self._lives = {
            spec.name: AgentLife(conductor, spec, views.get(spec.name))
            for spec in conductor.definition.agents
        }
        self._scopes: dict[AgentId, anyio.CancelScope] = {}
        self._ends = _Ends()
        self._changed = anyio.Event()

    async def run(self) -> None:
        """Run the agents in the order of the plan, and end the run."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._watch)
            timed_out = await self._run_in_time()
            group.cancel_scope.cancel()
        if self._conductor.state_of(self._conductor.run) is not None:
            failure = await self._failure(timed_out=timed_out)
            await self._conductor.submit(FinishAgent(self._conductor.run, failure))
        self._conductor.forget(self._conductor.run)

    async def _run_in_time(self) -> bool:
        limit = self._definition.timeout
        if limit is None:
            await self._run_agents()
            return False
        remaining = max(0, self._began + limit - self._runtime.clock.now())
        with anyio.move_on_after(remaining / NANOSECONDS) as scope:
            await self._run_agents()
        return scope.cancelled_caught

    async def _watch(self) -> None:
        """Stop whatever runs for an agent that somebody has terminated."""
        async for logged in self._runtime.subscribe(self._runtime.position):
            event = logged.event
            if event.intent == self._conductor.run and isinstance(event.body, AgentTerminated):
                for agent, scope in self._scopes.items():
                    if event.stream in {agent, self._conductor.run}:
                        scope.cancel()

    async def _run_agents(self) -> None:
        for name in self._plan.order:
            await self._lives[name].spawn()
            self._note_end(name)
        async with anyio.create_task_group() as group:
            while await self._start_ready(group):
                await self._changed.wait()
                self._changed = anyio.Event()

    async def _start_ready(self, group: TaskGroup) -> bool:
        """Start what can start; return whether anything runs."""
        ends, limit = self._ends, self._definition.max_concurrent
        following = ready(self._plan, ends.done, ends.failed, ends.running, limit=limit)
        for impossible in following.impossible:
            await self._lives[impossible.name].give_up(impossible.reason)
            self._note_end(impossible.name)
        for name in following.start:
            ends.running.add(name)
            group.start_soon(self._live, name, name=f"agent {name}")
        return bool(ends.running)

    async def _live(self, name: str) -> None:
        life = self._lives[name]
        try:
            with anyio.CancelScope() as scope:
                self._scopes[life.agent] = scope
                await life.live(self._results_for(name))
        except Rejected:
            # Refused because somebody ended the agent between two of its steps: the log has the
            # reason. Anything else that is refused is a fault and must be seen.
            if not life.ended and self._conductor.state_of(self._conductor.run) is not None:
                raise
        finally:
            del self._scopes[life.agent]
        self._ends.running.discard(name)
        self._note_end(name)
        self._conductor.forget(life.agent)
        self._changed.set()

    def _note_end(self, name: str) -> None:
        life = self._lives[name]
        if life.ended or self._conductor.state_of(self._conductor.run) is None:
            (self._ends.done if life.completed else self._ends.failed).add(name)

    def _results_for(self, name: str) -> dict[str, Json]:
        waits = (*self._plan.dependencies[name], *self._plan.optional[name])
        return {other: self._lives[other].results for other in waits}

    async def _failure(self, *, timed_out: bool) -> Failure | None:
        if timed_out and self._definition.timeout is not None:
            seconds = self._definition.timeout / NANOSECONDS
            return Failure(RUN_TIMED_OUT, f"The run did not end within {seconds:g} s.")
        result = result_of(await load_run(self._runtime.store, self._conductor.run))
        unmet = [agent_name(agent.agent) for agent in result.agents if not agent.met]
        if unmet:
            what = f"{len(unmet)} of {len(result.agents)} agents did not meet their objectives"
            return Failure(NOT_MET, f"{what}: {', '.join(unmet)}.")
        return None
