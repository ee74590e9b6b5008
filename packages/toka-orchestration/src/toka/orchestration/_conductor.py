"""What the agents of a run share: its definition, its token, and the way to the kernel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import msgspec

from toka.orchestration._definition import permissions_of_agent_spec, run_variables
from toka.orchestration._grants import permissions_of_agent, permissions_of_family
from toka.orchestration._history import UnknownRun
from toka.orchestration._programs import options_of, program_of
from toka.types import Message, SpawnAgent, agent_of

if TYPE_CHECKING:
    from toka.agent_runtime import AgentRuntime, TaskOutcome
    from toka.kernel import AgentState
    from toka.orchestration._grants import TokenDesk
    from toka.orchestration._run import RunDefinition
    from toka.runtime import Receipt, Runtime
    from toka.types import AgentId, AgentSpec, Clock, Json, Operation, TaskDefinition, TaskId


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
    ) -> None:
        self.run = run
        self.definition = definition
        self.inputs: dict[str, Json] = msgspec.json.decode(definition.inputs)
        self._runtime = runtime
        self._agents = agents
        self._desk = desk
        self._family = permissions_of_family(run, self._granted(run))
        # Relative paths start where the run was begun; the log and the keys are nobody's to touch.
        self._workspace = attrs.evolve(agents.workspace, root=Path(definition.workspace))

    @property
    def clock(self) -> Clock:
        """The clock of the host."""
        return self._runtime.clock

    def state_of(self, agent: AgentId) -> AgentState | None:
        """Return what the kernel knows of an agent."""
        return self._runtime.state.agent(agent)

    async def submit(self, operation: Operation, key: str = "") -> Receipt:
        """Do something in the run's name.

        Raises:
            Rejected: The kernel refused.
            LogFailed: The log could not be written.
        """
        token = self._desk.token_for(self.run, self._family)
        return await self._runtime.submit(Message(token, operation, key))

    async def spawn(self, spec: AgentSpec) -> None:
        """Create an agent of the run with what its specification asks for.

        Raises:
            Rejected: It asks for more than the run has.
        """
        permissions, _ = permissions_of_agent_spec(self.definition, spec)
        operation = SpawnAgent(self.run, spec.name, permissions, budget=spec.budget)
        await self.submit(operation, f"{self.run}/{spec.name}:spawn")

    async def run_task(
        self, spec: AgentSpec, task: TaskDefinition, identifier: TaskId, variables: dict[str, Json]
    ) -> TaskOutcome:
        """Run one task under the agent's own token, and return how it ended.

        Raises:
            StepDiffers: The program is not the one that the task began with.
            Rejected: The task was taken away, by the end of its agent for example.
        """
        agent = agent_of(identifier)
        permissions = permissions_of_agent(agent, self._granted(agent))
        return await self._agents.run_task(
            identifier,
            program_of(spec, task, Path(self.definition.directory)),
            lambda: self._desk.token_for(agent, permissions),
            variables,
            options=options_of(spec, task, self._workspace),
        )

    def variables(self, spec: AgentSpec) -> dict[str, Json]:
        """Return what every expression of an agent can see, results apart."""
        identity = {"name": spec.name, "domain": spec.role.domain, "id": f"{self.run}/{spec.name}"}
        run = {**run_variables(self.definition), "id": self.run}
        return {"inputs": self.inputs, "agent": identity, "run": run}

    def forget(self, agent: AgentId) -> None:
        """Drop the tokens of an agent that has ended."""
        self._desk.forget(agent)

    def _granted(self, agent: AgentId) -> tuple[str, ...]:
        state = self.state_of(agent)
        if state is None:
            raise UnknownRun(f"Agent {agent} is not there, or its run has ended.")
        return state.permissions
