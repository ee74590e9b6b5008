"""Handlers of runs: list, look at, begin."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, get_args

from toka.orchestration import RunDefinition
from toka.orchestration_service._errors import KeyReused, NotFound
from toka.orchestration_service._render import render_run, render_run_detail, state_of
from toka.orchestration_service._shapes import (
    RunPage,
    RunStateName,
    StartedRun,
    StartRun,
)
from toka.types import AgentId, EntityId

if TYPE_CHECKING:
    from collections.abc import Callable

    from toka.orchestration import RunView
    from toka.orchestration_service._call import Call
    from toka.orchestration_service._shapes import Run, RunDetail


async def list_runs(call: Call) -> RunPage:
    """Return a page of runs.

    Raises:
        MalformedRequest: A parameter is no good.
    """
    runs = await call.service.projection.current()
    limit, after = call.page_size(), call.text("after")
    newest_first = call.choice("order", ("newest", "oldest")) == "newest"
    takes = _filter(call)
    # Identifiers grow with time and the projection has them in the log's order.
    views = reversed(runs.by_id.values()) if newest_first else iter(runs.by_id.values())
    behind = (
        view
        for view in views
        if not after or (view.run < after if newest_first else view.run > after)
    )
    wanted = (view for view in behind if takes(view))
    page = tuple(render(call, run) for run in islice(wanted, limit))
    return RunPage(page, page[-1].run if next(wanted, None) else None)


def _filter(call: Call) -> Callable[[RunView], bool]:
    """Return what says whether a run is wanted."""
    states = frozenset(call.texts("state", get_args(RunStateName)))
    text = call.text("text").casefold()
    active = call.service.executions.active

    def takes(view: RunView) -> bool:
        fits = not states or state_of(view, executing=AgentId(view.run) in active) in states
        return fits and (not text or text in view.name.casefold() or text in view.run.casefold())

    return takes


async def get_run(call: Call) -> RunDetail:
    """Return one run.

    Raises:
        NotFound: There is none.
    """
    view, service = await find_run(call), call.service
    executing = view.run in service.executions.active
    return render_run_detail(view, service.runtime.state, executing=executing)


async def start_run(call: Call) -> StartedRun:
    """Begin a run under the caller's token.

    Raises:
        SpecError: The specification is not usable.
        Rejected: The token does not cover what the run's agents ask for.
        KeyReused: The Idempotency-Key was used for another run.
        TooMany: Too many runs are unfinished.
    """
    key = call.idempotency_key()
    wanted = await call.body(StartRun)
    call.service.executions.require_room()
    definition, warnings = await call.service.sources.define(wanted)
    orchestrator = call.service.orchestrator
    run = await orchestrator.begin(definition, call.token, idempotency_key=key, at_door=True)
    view = (await call.service.projection.current()).by_id[EntityId(run)]
    if RunDefinition.decode(view.spec).key != definition.key:
        raise KeyReused(
            f"The Idempotency-Key was used before, to begin run {run} of something else.",
            hint="Use a new key for a new request.",
            details={"run": run},
        )
    if not view.ended:
        call.service.executions.start(run)
    return StartedRun(render(call, view), warnings)


async def find_run(call: Call) -> RunView:
    """Return the run that the path names.

    Raises:
        NotFound: There is none.
    """
    runs = await call.service.projection.current()
    name = call.parameters["run"]
    view = runs.by_id.get(EntityId(name))
    if view is None:
        raise NotFound(f"There is no run {name}.", hint="GET /v1/runs lists the runs.")
    return view


def render(call: Call, view: RunView) -> Run:
    return render_run(view, executing=AgentId(view.run) in call.service.executions.active)
