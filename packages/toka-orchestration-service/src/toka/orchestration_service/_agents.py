"""Handlers of agents: list, look at."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from toka.orchestration_service._budgets import render_budget
from toka.orchestration_service._errors import MalformedRequest, NotFound
from toka.orchestration_service._render import MAX_LISTED, children_of, render_agent, render_task
from toka.orchestration_service._shapes import AgentPage
from toka.orchestration_service._shapes_agents import AgentDetail
from toka.types import AgentId, EntityId, root_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toka.orchestration import AgentView, Runs
    from toka.orchestration_service._call import Call


async def list_agents(call: Call) -> AgentPage:
    """Return a page of agents, run by run.

    Raises:
        MalformedRequest: `after` names no agent.
    """
    runs = await call.service.projection.current()
    after, limit = AgentId(call.text("after")), call.page_size()
    wanted = _behind(runs, after)
    page = tuple(render_agent(agent) for agent in islice(wanted, limit))
    return AgentPage(page, page[-1].agent if next(wanted, None) else None)


def _behind(runs: Runs, after: AgentId) -> Iterator[AgentView]:
    """Yield the agents that come after one, in the order of runs and of spawning."""
    first = runs.by_id.get(root_of(after))
    agents = children_of(first) if first else []
    names = [agent.agent for agent in agents]
    if after and after not in names:
        raise MalformedRequest(f"after={after[:80]!r} names no agent.")
    yield from agents[names.index(after) + 1 :] if after else ()
    for identifier, run in runs.by_id.items():
        if identifier > root_of(after):
            yield from children_of(run)


async def list_names(call: Call) -> tuple[str, ...]:
    """Return the names of the agents that live, as the original did."""
    runs = await call.service.projection.current()
    living = (
        agent.name
        for run in runs.by_id.values()
        if not run.ended
        for agent in children_of(run)
        if agent.ended is None
    )
    return tuple(sorted(living))


async def get_agent(call: Call) -> AgentDetail:
    """Return one agent.

    Raises:
        NotFound: There is none.
    """
    view = await find_agent(call)
    known = call.service.runtime.state.agent(view.agent)
    tasks = [render_task(view.agent, task) for task in view.tasks.values()]
    return AgentDetail(
        agent=render_agent(view),
        permissions=view.permissions,
        tasks=tuple(tasks[-MAX_LISTED:]),
        mail=0 if known is None else len(known.mailbox),
        tainted=known is not None and known.tainted,
        budget=None if known is None else render_budget(known.account),
    )


async def find_agent(call: Call) -> AgentView:
    """Return the agent that the path names.

    Raises:
        NotFound: There is none.
    """
    runs = await call.service.projection.current()
    agent = AgentId(call.parameters["agent"])
    run = runs.by_id.get(EntityId(root_of(agent)))
    view = run.agents.get(agent) if run else None
    if view is None:
        raise NotFound(f"There is no agent {agent}.", hint="GET /v1/agents lists the agents.")
    return view
