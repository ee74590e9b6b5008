"""Handlers of agents: list, look at."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from toka.orchestration_service._budgets import render_budget
from toka.orchestration_service._errors import MalformedRequest, NotFound
from toka.orchestration_service._render import MAX_LISTED, children_of, render_agent, render_task
from toka.orchestration_service._shapes import AgentPage
from toka.orchestration_service._shapes_agents import AgentDetail
from toka.types import AgentId, root_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from toka.orchestration import AgentView, RunView
    from toka.orchestration_service._call import Call

_RUNS: Final = 16
"""Runs whose agents are listed at once."""


async def list_agents(call: Call) -> AgentPage:
    """Return a page of agents, run by run.

    Raises:
        MalformedRequest: `after` names no agent.
    """
    after, limit = AgentId(call.text("after")), call.page_size()
    found: list[AgentView] = []
    async for agent in _behind(call, after):
        found.append(agent)
        if len(found) > limit:
            break
    page = tuple(render_agent(agent) for agent in found[:limit])
    return AgentPage(page, page[-1].agent if len(found) > limit else None)


async def _behind(call: Call, after: AgentId) -> AsyncGenerator[AgentView, None]:
    """Yield the agents that come after one, in the order of runs and of spawning."""
    first = await call.service.projection.find(root_of(after)) if after else None
    agents = children_of(first) if first else []
    names = [agent.agent for agent in agents]
    if after and after not in names:
        raise MalformedRequest(f"after={after[:80]!r} names no agent.")
    for agent in agents[names.index(after) + 1 :] if after else ():
        yield agent
    reached: str = root_of(after)
    while page := await _runs_behind(call, reached):
        for run in page:
            for agent in children_of(run):
                yield agent
        reached = page[-1].run


async def _runs_behind(call: Call, reached: str) -> list[RunView]:
    """Return the next runs in the order of time, wherever they are kept."""
    projection = call.service.projection
    runs = (await projection.current()).by_id
    here = islice((run for run in runs if run > reached), _RUNS)
    away = await projection.archived(reached, _RUNS, (), "", newest_first=False)
    names = sorted({*here, *(run.run for run in away)})[:_RUNS]
    found = [await projection.find(name) for name in names]
    return [view for view in found if view is not None]


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
        MalformedRequest: `tasks` is no number up to 500.
    """
    listed = call.number("tasks", MAX_LISTED, MAX_LISTED)
    view = await find_agent(call)
    known = call.service.runtime.state.agent(view.agent)
    newest = list(islice(reversed(view.tasks.values()), listed))[::-1]
    return AgentDetail(
        agent=render_agent(view),
        permissions=view.permissions,
        tasks=tuple([render_task(view.agent, task) for task in newest]),
        mail=0 if known is None else len(known.mailbox),
        tainted=known is not None and known.tainted,
        budget=None if known is None else render_budget(known.account),
    )


async def find_agent(call: Call) -> AgentView:
    """Return the agent that the path names.

    Raises:
        NotFound: There is none.
    """
    agent = AgentId(call.parameters["agent"])
    run = await call.service.projection.find(root_of(agent))
    view = run.agents.get(agent) if run else None
    if view is None:
        raise NotFound(f"There is no agent {agent}.", hint="GET /v1/agents lists the agents.")
    return view
