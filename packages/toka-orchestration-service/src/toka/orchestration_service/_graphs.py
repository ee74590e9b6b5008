"""Handlers of a run's inside: its agents as a graph, and its tasks."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from toka.orchestration import RunDefinition, SpecSet, plan
from toka.orchestration_service._errors import MalformedRequest
from toka.orchestration_service._render import children_of, render_agent, render_task
from toka.orchestration_service._runs import find_run
from toka.orchestration_service._shapes_runs import Edge, Graph, TaskPage
from toka.types import NULL, TaskId, agent_of, child_agent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toka.orchestration import AgentView, RunView, TaskView
    from toka.orchestration_service._call import Call


async def get_graph(call: Call) -> Graph:
    """Return agents of a run, with what they wait for.

    Raises:
        NotFound: There is no such run.
        MalformedRequest: `after` names no agent of it.
    """
    view = await find_run(call)
    agents = children_of(view)
    first = _index_after(call, [agent.agent for agent in agents])
    page = agents[first : first + call.page_size()]
    more = first + len(page) < len(agents)
    edges = _edges(view, {agent.name for agent in page})
    nodes = tuple(render_agent(agent) for agent in page)
    return Graph(view.run, nodes, edges, page[-1].agent if more else None)


def _index_after(call: Call, names: list[str]) -> int:
    after = call.text("after")
    if not after:
        return 0
    if after not in names:
        raise MalformedRequest(f"after={after[:80]!r} names nothing in this run.")
    return names.index(after) + 1


def _edges(view: RunView, names: set[str]) -> tuple[Edge, ...]:
    if view.spec == NULL:
        return ()
    found = plan(SpecSet(RunDefinition.decode(view.spec).agents))
    waits = ((found.dependencies, False), (found.optional, True))
    return tuple(
        Edge(child_agent(view.run, name), child_agent(view.run, other), optional)
        for table, optional in waits
        for name in found.order
        if name in names
        for other in table[name]
    )


async def list_tasks(call: Call) -> TaskPage:
    """Return a page of the tasks of a run.

    Raises:
        NotFound: There is no such run.
        MalformedRequest: `after` names no task of it.
    """
    view = await find_run(call)
    after, limit = call.text("after"), call.page_size()
    states = frozenset(call.texts("state"))
    wanted = (
        (agent, task)
        for agent, task in _tasks_behind(view, after)
        if not states or task.phase in states
    )
    page = tuple(render_task(agent.agent, task) for agent, task in islice(wanted, limit))
    return TaskPage(page, page[-1].task if next(wanted, None) else None)


def _tasks_behind(view: RunView, after: str) -> Iterator[tuple[AgentView, TaskView]]:
    agents = list(view.agents.values())
    first = number = 0
    if after:
        owner = agent_of(TaskId(after))
        number = _number_of(after)
        if owner not in view.agents or number not in view.agents[owner].tasks:
            raise MalformedRequest(f"after={after[:80]!r} names no task of this run.")
        first = list(view.agents).index(owner)
    for agent in agents[first:]:
        for own, task in agent.tasks.items():
            if not after or agent is not agents[first] or own > number:
                yield agent, task


def _number_of(task: str) -> int:
    number = task.rpartition("#")[2]
    return int(number) if number.isascii() and number.isdecimal() and len(number) < 10 else -1  # noqa: PLR2004 - no agent has a billion
