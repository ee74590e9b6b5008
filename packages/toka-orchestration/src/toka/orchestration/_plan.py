"""The plan of a set of agents, and of one agent's tasks.

Dependencies count over all priorities. `workstream:NAME` stands for every agent of a workstream,
and an agent's name in a task's `depends_on` makes the whole agent wait.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import attrs

from toka.orchestration._errors import (
    DependencyCycleError,
    DuplicateNameError,
    SeveralSpecErrors,
    SpecError,
    UnknownDependencyError,
)
from toka.orchestration._graph import CycleFound, Plan, Vertex, arrange
from toka.orchestration._place import SpecWarning
from toka.orchestration._spec_reader import suggest
from toka.orchestration._spec_set import SpecSet

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from toka.types import AgentSpec, Dependency, JsonObject, TaskDefinition

WORKSTREAM: Final = "workstream:"
"""What a dependency on all agents of a workstream starts with."""
PLANS_KEPT: Final = 64


def plan(specs: SpecSet) -> Plan:
    """Return in which order the agents of a set can run; their tasks are checked too.

    Raises:
        SpecError: A name is there twice or nowhere, or agents or tasks wait in a circle.
    """
    planner = _Planner(specs)
    vertices = [planner.vertex(agent) for agent in specs.agents]
    for agent in specs.agents:
        planner.check_tasks(agent)
    if planner.errors:
        raise SeveralSpecErrors.of(planner.errors)
    try:
        return attrs.evolve(arrange(vertices), warnings=tuple(planner.warnings))
    except CycleFound as found:
        raise _cycle_error(found, vertices, specs) from None


class Plans:
    """The plans of the newest sets of agents, for runs of the same set one after another."""

    def __init__(self) -> None:
        self._made: OrderedDict[int, tuple[tuple[AgentSpec, ...], Plan]] = OrderedDict()

    def of(self, agents: tuple[AgentSpec, ...]) -> Plan:
        """Return the plan of agents, made anew unless these very ones were planned before.

        Raises:
            SpecError: A name is there twice or nowhere, or agents or tasks wait in a circle.
        """
        # By identity: to compare specifications takes as long as to plan. Each is kept with its
        # plan, so that no other set can come to have its identity meanwhile.
        known = self._made.get(id(agents))
        if known is not None:
            return known[1]
        made = plan(SpecSet(agents))
        self._made[id(agents)] = (agents, made)
        if len(self._made) > PLANS_KEPT:
            self._made.popitem(last=False)
        return made


def active_tasks(spec: AgentSpec, inputs: JsonObject) -> tuple[TaskDefinition, ...]:
    """Return the tasks that exist in a run: a condition is the name of an input that is true."""
    return tuple(
        [task for task in spec.tasks if not task.condition or inputs.get(task.condition) is True]
    )


def plan_tasks(tasks: Iterable[TaskDefinition]) -> Plan:
    """Return in which order tasks of one agent can run, by their ids.

    What a task waits for and is not among `tasks` is not waited for: another agent, whose end the
    agent's own start waited for, or a conditional task that does not exist in this run.

    Raises:
        DependencyCycleError: Tasks wait in a circle.
    """
    tasks = tuple(tasks)
    names = _task_names(tasks)
    vertices = [
        Vertex(task.id, task.priority, tuple([names[n] for n in task.depends_on if n in names]))
        for task in tasks
    ]
    try:
        return arrange(vertices)
    except CycleFound as found:
        raise DependencyCycleError(
            f"Tasks wait in a circle: {found}.", hint="Remove one 'depends_on'."
        ) from None


def _task_names(tasks: Iterable[TaskDefinition]) -> dict[str, str]:
    """Map what a dependency can call a task, its id or its description, to its id."""
    tasks = tuple(tasks)
    return {task.description: task.id for task in tasks} | {task.id: task.id for task in tasks}


class _Planner:
    """Turns dependencies into edges between agents that exist."""

    def __init__(self, specs: SpecSet) -> None:
        self._specs = specs
        self._streams: dict[str, list[str]] = {}
        self._names: set[str] = set()
        self.errors: list[SpecError] = []
        self.warnings: list[SpecWarning] = []
        for agent in specs.agents:
            if agent.name in self._names:
                what = f"Two agents are called {agent.name!r}."
                place = specs.place(agent.name)
                self.errors.append(DuplicateNameError.at(place, what, "Rename one."))
            self._names.add(agent.name)
            if agent.metadata.workstream:
                self._streams.setdefault(agent.metadata.workstream, []).append(agent.name)

    def vertex(self, agent: AgentSpec) -> Vertex:
        """Return an agent and what it waits for."""
        required: list[str] = []
        for wait in agent.dependencies.required:
            found = self._resolve(wait)
            if not found:
                self._unknown(agent, f"required:{wait.agent}", wait.agent, self._known())
            required += found
        optional: list[str] = []
        for wait in agent.dependencies.optional:
            found = self._resolve(wait)
            if not found:
                place = self._specs.place(agent.name, f"optional:{wait.agent}")
                message = f"The optional {wait.agent!r} is not here, so nothing waits for it."
                self.warnings.append(SpecWarning(place, message))
            optional += found
        required += self._agents_of_tasks(agent)
        return Vertex(
            name=agent.name,
            priority=agent.role.priority,
            required=tuple(dict.fromkeys(required)),
            optional=tuple([name for name in dict.fromkeys(optional) if name not in required]),
        )

    def check_tasks(self, agent: AgentSpec) -> None:
        """Note what is wrong with the order of an agent's tasks."""
        names = _task_names(agent.tasks)
        for task in agent.tasks:
            for name in task.depends_on:
                if name not in names and name not in self._names:
                    self._unknown(agent, f"task:{task.id}", name, {*names, *self._names})
        try:
            plan_tasks(agent.tasks)
        except DependencyCycleError as error:
            place = self._specs.place(agent.name)
            self.errors.append(DependencyCycleError.at(place, error.message, error.hint))

    def _agents_of_tasks(self, agent: AgentSpec) -> list[str]:
        own = _task_names(agent.tasks)
        return [
            name
            for task in agent.tasks
            for name in task.depends_on
            if name in self._names and name not in own
        ]

    def _resolve(self, wait: Dependency) -> list[str]:
        if wait.agent.startswith(WORKSTREAM):
            return self._streams.get(wait.agent.removeprefix(WORKSTREAM).strip(), [])
        return [wait.agent] if wait.agent in self._names else []

    def _known(self) -> set[str]:
        return self._names | {f"{WORKSTREAM}{name}" for name in self._streams}

    def _unknown(self, agent: AgentSpec, path: str, name: str, known: set[str]) -> None:
        place = self._specs.place(agent.name, path)
        what = f"{agent.name} waits for {name!r}, which does not exist."
        hint = suggest(name, known - {agent.name})
        self.errors.append(UnknownDependencyError.at(place, what, hint))


def _cycle_error(
    found: CycleFound, vertices: Iterable[Vertex], specs: SpecSet
) -> DependencyCycleError:
    by_name: Mapping[str, Vertex] = {vertex.name: vertex for vertex in vertices}
    first, second = found.cycle[:2]
    shown = first
    for name, following in pairwise(found.cycle):
        mark = " (optional)" if following in by_name[name].optional else ""
        shown += f" -> {following}{mark}"
    place = specs.place(first, f"required:{second}", f"optional:{second}")
    return DependencyCycleError.at(
        place,
        f"Agents wait in a circle: {shown}.",
        "Remove one of these dependencies.",
    )
