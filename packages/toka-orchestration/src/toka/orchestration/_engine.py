"""The engine: which agents run, and when, until the run has ended.

The engine holds no state that matters. What it knows it read from the log, and what it decides it
asks the kernel for; killed at any moment, the next `execute` goes on where the log ends.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio
import attrs

from toka.kernel import AgentTerminated
from toka.orchestration._agent_life import AgentLife
from toka.orchestration._conductor import Conductor
from toka.orchestration._definition import permissions_of_agents
from toka.orchestration._errors import ArtifactsUnusable, RunBusy, UnknownRun
from toka.orchestration._faults import single_error
from toka.orchestration._history import find_run, load_run, result_of, tag_of, trace_of
from toka.orchestration._plan import Plans
from toka.orchestration._ready import ready
from toka.orchestration._retry import kept_outcomes
from toka.orchestration._run import RunDefinition
from toka.orchestration._time import ends_by
from toka.orchestration._view import Runs
from toka.runtime import Logged, Rejected
from toka.types import (
    NANOSECONDS,
    AgentId,
    Failure,
    FinishAgent,
    Message,
    SpawnAgent,
    TerminateAgent,
    root_agent,
    root_of,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

    from anyio.abc import TaskGroup

    from toka.agent_runtime import AgentRuntime
    from toka.orchestration._grants import TokenDesk
    from toka.orchestration._graph import Plan
    from toka.orchestration._ready import Impossible
    from toka.orchestration._retry import Kept
    from toka.orchestration._run import RunResult
    from toka.orchestration._view import RunView
    from toka.runtime import Receipt, Runtime
    from toka.tools import ToolRegistry
    from toka.types import EventId, Json

NOT_MET = "orchestration.objectives_not_met"
RUN_TIMED_OUT = "orchestration.run_timed_out"
BEGUN_KEPT: Final = 1_024
"""Runs that were begun and are not executed yet, and need not be read back from the log."""


class Orchestrator:
    """Begins runs, goes on with them, and ends them. A runtime has one orchestrator."""

    def __init__(self, runtime: Runtime, agents: AgentRuntime, desk: TokenDesk) -> None:
        self.runtime = runtime
        self._agents = agents
        self._desk = desk
        self._plans = Plans()
        self._executing: set[AgentId] = set()
        self._begun: OrderedDict[AgentId, _Begun] = OrderedDict()

    @property
    def tools(self) -> ToolRegistry:
        """The tools that agents can be allowed on this host."""
        return self._agents.tools

    async def find(self, key: str) -> RunView | None:
        """Return the newest run with that key, or None.

        Raises:
            StoreError: The log cannot be read.
        """
        run = await find_run(self.runtime.store, key)
        return None if run is None else await load_run(self.runtime.store, run)

    async def begin(
        self,
        definition: RunDefinition,
        token: str,
        *,
        idempotency_key: str = "",
        at_door: bool = False,
    ) -> AgentId:
        """Record a new run under the caller's token, and return its id. `execute` then runs it.

        Args:
            definition: What to run.
            token: Whose permissions the run's agents get a part of.
            idempotency_key: Under the same one the same run is returned.
            at_door: Whoever received the token has authenticated it, see `Runtime.submit`.

        Raises:
            AuthenticationError: The token is not good.
            Rejected: The token does not cover what the run's agents ask for.
        """
        retries = definition.retries
        spawn = SpawnAgent(
            None,
            definition.name,
            permissions_of_agents(definition),
            spec=definition.encode(),
            copies_from=None if retries is None else retries.run,
        )
        message = Message(token, spawn, idempotency_key)
        tags = (tag_of(definition.key),)
        receipt = await self.runtime.submit(message, at_door=at_door, tags=tags)
        begun = _begun(receipt, definition, self.runtime.tracing.current)
        if not receipt.is_repeated and retries is None:
            self._begun[begun.view.run] = begun
            if len(self._begun) > BEGUN_KEPT:
                self._begun.popitem(last=False)
        return begun.view.run

    def begun(self, run: AgentId) -> RunView | None:
        """Return a run that `begin` has recorded and nothing has happened to since; or None.

        The view is its own: it is not kept up to date for the caller.
        """
        begun = self._begun.get(run)
        return None if begun is None or not self._is_untouched(begun) else begun.view

    def _is_untouched(self, begun: _Begun) -> bool:
        state = self.runtime.state.agent(begun.view.run)
        return state is not None and state.cause == begun.cause and not state.children

    def unfinished(self) -> tuple[AgentId, ...]:
        """Return the runs that have not ended, oldest first."""
        return tuple(sorted(root_agent(root) for root in self.runtime.state.families))

    async def cancel(self, run: AgentId, reason: str, token: str, *, at_door: bool = False) -> None:
        """End a run and all its agents, whatever they do.

        Args:
            run: Which one.
            reason: Why, for the log.
            token: Under whose permissions.
            at_door: Whoever received the token has authenticated it, see `Runtime.submit`.

        Raises:
            AuthenticationError: The token is not good.
            Rejected: The token does not cover it, or the run has ended.
        """
        message = Message(token, TerminateAgent(run, reason))
        await self.runtime.submit(message, at_door=at_door)

    async def execute(self, run: AgentId) -> RunResult:
        """Run or resume until the run has ended.

        Cancelling this gives the tasks back, so that the run can be gone on with at once.

        Raises:
            UnknownRun: There is no such run.
            RunBusy: It is being executed here already.
            ArtifactsUnusable: There is no place for what it makes.
            StepDiffers: A program is not the one that the run began with.
            OutcomeMissing: A step was copied from another run, and the log has its outcome no more.
            StepNotRecorded: The run retries one whose log was compacted.
            EntryInvalid: The code of a half-done task cannot be loaded any more.
            Rejected: Another holder runs one of its tasks.
            Interrupted: A task is given back again and again.
            LogFailed: The log could not be written.
        """
        if run in self._executing:
            raise RunBusy(f"Run {run} is being executed here already.", hint="Wait for its end.")
        self._executing.add(run)
        try:
            begun = self._begun.pop(run, None)
            if begun is not None and self._is_untouched(begun):
                # Nothing is between this and the watch: all that happens from here on is seen.
                with self._spanned(begun.view, begun.trace):
                    await self._execute(begun.view, begun.definition)
                return result_of(begun.view, begun.definition)
            view = await load_run(self.runtime.store, run)
            definition = RunDefinition.decode(view.spec)
            if not view.ended:
                with self._spanned(view, await trace_of(self.runtime, run)):
                    await self._execute(view, definition)
                view = await load_run(self.runtime.store, run)
            return result_of(view, definition)
        finally:
            self._executing.discard(run)

    @contextmanager
    def _spanned(self, view: RunView, trace: str) -> Generator[None]:
        said = {"toka.run.id": view.run, "toka.run.name": view.name}
        with self.runtime.tracing.span("run", said, parent=trace), single_error():
            yield

    async def _execute(self, view: RunView, definition: RunDefinition) -> None:
        _make_folder(definition.artifacts)
        kept: Kept = {}
        if definition.retries is not None:
            kept = await kept_outcomes(self.runtime.store, definition, view.run)
        conductor = Conductor(self.runtime, self._agents, self._desk, view.run, definition, kept)
        try:
            await _Execution(self.runtime, conductor, view, self._plans.of(definition.agents)).run()
        finally:
            conductor.forget_all()


@attrs.frozen
class _Begun:
    """A run that was just recorded, known without reading the log."""

    view: RunView
    definition: RunDefinition
    cause: EventId
    """What the kernel's state of the run's agent says while nothing has happened to it."""
    trace: str


def _begun(receipt: Receipt, definition: RunDefinition, trace: str) -> _Begun:
    runs, first = Runs(), receipt.position - len(receipt.events) + 1
    for position, event in enumerate(receipt.events, first):
        runs.apply(Logged(position, event))
    view = next(iter(runs.by_id.values()))
    return _Begun(view, definition, receipt.events[-1].id, trace)


def _make_folder(path: str) -> None:
    # In this thread: another one would take longer to be asked than the folder takes.
    try:
        os.makedirs(path, exist_ok=True)  # noqa: PTH103 - half the time of a Path's
    except OSError as error:
        raise ArtifactsUnusable(
            f"{path} cannot be made: {error.strerror}.",
            hint="Mend that and go on with the run, or start anew with --fresh.",
        ) from error


@attrs.define
class _Ends:
    """Names of agents by how they ended."""

    done: set[str] = attrs.Factory(set[str])
    failed: set[str] = attrs.Factory(set[str])
    running: set[str] = attrs.Factory(set[str])


class _Execution:
    """One going-on with a run."""

    def __init__(
        self, runtime: Runtime, conductor: Conductor, view: RunView, arranged: Plan
    ) -> None:
        self._runtime = runtime
        self._conductor = conductor
        self._definition = conductor.definition
        self._plan = arranged
        views = {agent.name: agent for path, agent in view.agents.items() if path != view.run}
        self._began = view.began
        self._runs = Runs()
        self._runs.by_id[root_of(view.run)] = view
        self._lives = {
            spec.name: AgentLife(conductor, spec, views.get(spec.name))
            for spec in conductor.definition.agents
        }
        self._scopes: dict[str, anyio.CancelScope] = {}
        self._ends = _Ends()
        self._changed = anyio.Event()

    async def run(self) -> None:
        """Run the agents in the order of the plan, and end the run."""
        limit = self._definition.timeout
        deadline = None if limit is None else self._began + limit
        in_time = True
        with self._runtime.watch(root_of(self._conductor.run), self._see):
            with anyio.CancelScope() as scope:
                self._scopes[self._conductor.run] = scope
                if not self._conductor.lives:
                    scope.cancel()
                in_time = await ends_by(self._conductor.clock, deadline, self._run_agents)
            await self._finish(in_time=in_time)

    async def _finish(self, *, in_time: bool) -> None:
        failure = self._failure() if in_time else self._timeout()
        try:
            await self._conductor.finish(FinishAgent(self._conductor.run, failure))
        except Rejected:
            if self._conductor.lives:
                raise

    def _see(self, logged: Logged) -> None:
        """Take up an event; stop whatever runs for an agent, or a run, that was terminated."""
        self._runs.apply(logged)
        event = logged.event
        if isinstance(event.body, AgentTerminated) and event.stream in self._scopes:
            self._scopes[AgentId(event.stream)].cancel()

    async def _run_agents(self) -> None:
        if len(self._plan.order) == 1:
            await self._run_one(*self._plan.order)
            return
        async with anyio.create_task_group() as group:
            for name in self._plan.order:
                group.start_soon(self._undisturbed, name, self._lives[name].spawn)
        for name in self._plan.order:
            self._note_end(name)
        async with anyio.create_task_group() as group:
            while await self._start_ready(group):
                await self._changed.wait()
                self._changed = anyio.Event()

    async def _run_one(self, name: str) -> None:
        """Run the only agent: what is done one after another needs no tasks beside this one."""
        await self._undisturbed(name, self._lives[name].spawn)
        self._note_end(name)
        if name not in self._ends.done and name not in self._ends.failed:
            await self._live(name)

    async def _start_ready(self, group: TaskGroup) -> bool:
        """Start what can start; return whether there is anything to wait for."""
        ends, limit = self._ends, self._definition.max_concurrent
        following = ready(self._plan, ends.done, ends.failed, ends.running, limit=limit)
        for name in following.start:
            ends.running.add(name)
            group.start_soon(self._live, name, name=f"agent {name}")
        for impossible in following.impossible:
            ends.failed.add(impossible.name)
            await self._undisturbed(impossible.name, partial(self._give_up, impossible))
        # The last one that ran may have ended while others were given up.
        return bool(ends.running) or self._changed.is_set()

    async def _give_up(self, impossible: Impossible) -> None:
        await self._lives[impossible.name].give_up(impossible.reason)

    async def _live(self, name: str) -> None:
        life = self._lives[name]
        # Named as OpenTelemetry's conventions for generative AI name what an agent does.
        said = {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": name,
            "gen_ai.agent.id": life.agent,
        }
        with self._runtime.tracing.span("invoke_agent", said):
            await self._undisturbed(name, lambda: life.live(self._results_for(name)))
        self._ends.running.discard(name)
        self._note_end(name)
        self._conductor.forget(life.agent)
        self._changed.set()

    async def _undisturbed(self, name: str, function: Callable[[], Awaitable[None]]) -> None:
        """Do something for an agent, unless and until somebody ends it."""
        life = self._lives[name]
        with anyio.CancelScope() as scope:
            self._scopes[life.agent] = scope
            try:
                await function()
            except (Rejected, UnknownRun):
                # Refused because somebody ended the agent between two of its steps: the log has
                # the reason. Anything else that is refused is a fault and must be seen.
                if self._conductor.lives and not life.is_over:
                    raise
        del self._scopes[life.agent]

    def _note_end(self, name: str) -> None:
        life = self._lives[name]
        if life.is_over or not self._conductor.lives:
            (self._ends.done if life.completed else self._ends.failed).add(name)

    def _results_for(self, name: str) -> dict[str, Json]:
        waits = (*self._plan.dependencies[name], *self._plan.optional[name])
        return {other: self._lives[other].results for other in waits}

    def _timeout(self) -> Failure:
        seconds = (self._definition.timeout or 0) / NANOSECONDS
        return Failure(RUN_TIMED_OUT, f"The run did not end within {seconds:g} s.")

    def _failure(self) -> Failure | None:
        unmet = [
            name if life.refusal is None else f"{name} ({life.refusal.message})"
            for name, life in self._lives.items()
            if not life.met
        ]
        if not unmet:
            return None
        what = f"{len(unmet)} of {len(self._lives)} agents did not meet their objectives"
        return Failure(NOT_MET, f"{what}: {', '.join(unmet)}.")
