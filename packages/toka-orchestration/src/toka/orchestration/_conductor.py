"""What the agents of a run share: its definition, its token, and the way to the kernel."""

from __future__ import annotations

from contextlib import aclosing
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn, cast

import anyio.lowlevel
import attrs
import msgspec

from toka.agent_runtime import NO_RETRY, Code
from toka.orchestration._definition import permissions_of_agent_spec, run_variables
from toka.orchestration._errors import UnknownRun
from toka.orchestration._grants import permissions_of_agent, permissions_of_family
from toka.orchestration._programs import options_of, program_of
from toka.orchestration._time import wait_until
from toka.runtime import Rejected
from toka.types import Message, SpawnAgent, TokaError, agent_of, child_agent

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from toka.agent_runtime import AgentRuntime, Program, TaskContext, TaskOptions, TaskOutcome
    from toka.kernel import AgentState, TaskState
    from toka.orchestration._grants import TokenDesk
    from toka.orchestration._retry import Kept
    from toka.orchestration._run import RunDefinition
    from toka.runtime import Logged, Receipt, Runtime
    from toka.tools import Workspace
    from toka.types import (
        AgentId,
        AgentSpec,
        Clock,
        EventId,
        FinishAgent,
        Json,
        Operation,
        ScheduleTask,
        TaskDefinition,
        TaskId,
    )

_MESSAGE: Final = 4_000


class Conductor:
    """Acts for one run, with the run's own token and with those of its agents.

    Attributes:
        run: The run's root agent.
        definition: What the run is made of.
        inputs: Its inputs, by name.
    """

    def __init__(
        self,
        runtime: Runtime,
        agents: AgentRuntime,
        desk: TokenDesk,
        run: AgentId,
        definition: RunDefinition,
        kept: Kept,
    ) -> None:
        self.run = run
        self.definition = definition
        self.inputs: dict[str, Json] = msgspec.json.decode(definition.inputs)
        self._runtime = runtime
        self._agents = agents
        self._desk = desk
        self._kept = kept
        self._family = permissions_of_family(run, self._granted(run))
        # Relative paths start where the run was begun; the log and the keys are nobody's to touch.
        self._workspace = _at(agents.workspace, definition.workspace)

    @property
    def clock(self) -> Clock:
        """The clock of the host."""
        return self._runtime.clock

    @property
    def lives(self) -> bool:
        """Whether the run has not ended."""
        return self.state_of(self.run) is not None

    def state_of(self, agent: AgentId) -> AgentState | None:
        """Return what the kernel knows of an agent."""
        return self._runtime.state.agent(agent)

    def tasks_of(self, agent: AgentId) -> dict[TaskId, TaskState]:
        """Return the tasks of an agent that the kernel keeps: those that a restart does again."""
        return self._runtime.state.tasks(agent)

    def is_paused(self, agent: AgentId) -> bool:
        """Return whether the agent, or the whole run, is suspended."""
        states = (self.state_of(agent), self.state_of(self.run))
        return any(state is not None and state.phase == "suspended" for state in states)

    def moment_of(self, agent: AgentId) -> tuple[EventId | None, ...]:
        """Return what is another value after the agent, or the run, has been suspended."""
        states = (self.state_of(agent), self.state_of(self.run))
        return tuple([None if state is None else state.cause for state in states])

    async def until_active(self, agent: AgentId) -> None:
        """Wait while the agent, or the whole run, is suspended."""
        if not self.is_paused(agent):
            return
        events = cast(
            "AsyncGenerator[Logged, None]", self._runtime.subscribe(self._runtime.position)
        )
        async with aclosing(events):
            async for _ in events:
                if not self.is_paused(agent):
                    return

    async def submit(self, operation: Operation, key: str = "") -> Receipt:
        """Do something in the run's name.

        Raises:
            Rejected: The kernel refused.
            LogFailed: The log could not be written.
        """
        token = self._desk.token_for(self.run, self._family)
        return await self._runtime.submit(Message(token, operation, key))

    async def spawn(self, spec: AgentSpec, tasks: Sequence[ScheduleTask]) -> None:
        """Create an agent of the run with what its specification asks for, and schedule its tasks.

        Raises:
            Rejected: It asks for more than the run has.
        """
        permissions, _ = permissions_of_agent_spec(self.definition, spec)
        operation = SpawnAgent(self.run, spec.name, permissions, budget=spec.budget)
        token = self._desk.token_for(self.run, self._family)
        messages = [Message(token, operation, f"{self.run}/{spec.name}:spawn")]
        for number, task in enumerate(tasks):
            messages.append(Message(token, task, schedule_key(task.agent, number)))
        await self._runtime.submit_all(messages)

    async def finish(self, operation: FinishAgent) -> Receipt:
        """End an agent, or the run. What is suspended can fail, but not complete: that waits.

        Raises:
            Rejected: Somebody else has ended it.
            LogFailed: The log could not be written.
        """
        if operation.failure is not None:
            shortened = attrs.evolve(operation.failure, message=_short(operation.failure.message))
            return await self.submit(attrs.evolve(operation, failure=shortened))
        while True:
            await self.until_active(operation.agent)
            try:
                return await self.submit(operation)
            except Rejected as rejected:
                await require_suspended(rejected)

    async def run_task(
        self, spec: AgentSpec, task: TaskDefinition, identifier: TaskId, variables: dict[str, Json]
    ) -> TaskOutcome:
        """Run one task under the agent's own token, and return how it ended.

        Raises:
            StepDiffers: The program is not the one that the task began with.
            EntryInvalid: The code that the task began with cannot be loaded any more.
            Rejected: The task was taken away, by the end of its agent for example.
        """
        agent = agent_of(identifier)
        permissions = permissions_of_agent(agent, self._granted(agent))
        program, options = self._program(spec, task, identifier, variables)
        known = self._runtime.state.task(identifier)
        if known is not None:
            # A crash between two attempts does not shorten the wait between them.
            await wait_until(self.clock, known.not_before)
        return await self._agents.run_task(
            identifier,
            program,
            lambda: self._desk.token_for(agent, permissions),
            variables,
            options=options,
            copies=self._kept.get(identifier, {}),
        )

    def _program(
        self, spec: AgentSpec, task: TaskDefinition, identifier: TaskId, variables: dict[str, Json]
    ) -> tuple[Program, TaskOptions]:
        options = options_of(spec, task, self._workspace)
        try:
            directory = _path_of(self.definition.directory)
            return program_of(spec, task, directory, variables), options
        except TokaError as error:
            known = self._runtime.state.task(identifier)
            if known is None or len(known.paths) or len(known.started):
                # What is half done is not failed for a fault that its author can mend.
                raise
            return _raising(error), attrs.evolve(options, retry=NO_RETRY)

    def variables(self, spec: AgentSpec) -> dict[str, Json]:
        """Return what every expression of an agent can see, results apart."""
        identity = {"name": spec.name, "domain": spec.role.domain, "id": f"{self.run}/{spec.name}"}
        run = {**run_variables(self.definition), "id": self.run}
        return {"inputs": self.inputs, "agent": identity, "run": run}

    def forget(self, agent: AgentId) -> None:
        """Drop the tokens of an agent that has ended."""
        self._desk.forget(agent)

    def forget_all(self) -> None:
        """Drop every token of the run."""
        for agent in (self.run, *(child_agent(self.run, s.name) for s in self.definition.agents)):
            self._desk.forget(agent)

    def _granted(self, agent: AgentId) -> tuple[str, ...]:
        state = self.state_of(agent)
        if state is None:
            raise UnknownRun(f"Agent {agent} is not there, or its run has ended.")
        return state.permissions


# Runs that are begun one after another are mostly in the same places.
@lru_cache(maxsize=64)
def _at(workspace: Workspace, root: str) -> Workspace:
    return attrs.evolve(workspace, root=Path(root))


@lru_cache(maxsize=64)
def _path_of(text: str) -> Path:
    return Path(text)


def schedule_key(agent: AgentId, number: int) -> str:
    """Return the idempotency key under which an agent's task of that number is scheduled."""
    return f"{agent}:schedule:{number}"


async def require_suspended(rejected: Rejected) -> None:
    """Raise a refusal again, unless it is for a suspension: that is waited for.

    Raises:
        Rejected: It is for something else.
    """
    if rejected.details.get("state") != "suspended":
        raise rejected
    # The suspension may be decided and not committed, so that nobody can wait for its end yet.
    await anyio.lowlevel.checkpoint()


def _short(message: str) -> str:
    """Return what the kernel takes for certain, however many names a message holds."""
    return message if len(message) <= _MESSAGE else f"{message[:_MESSAGE]}..."


def _raising(error: TokaError) -> Code:
    """Return a program whose record says why there is no other."""

    async def fail(_: TaskContext) -> NoReturn:
        raise error

    return Code(fail)
