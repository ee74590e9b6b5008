"""Handlers of runs: list, look at, begin."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, get_args

from toka.orchestration import RunDefinition, define_retry
from toka.orchestration_service._errors import Conflict, KeyReused, NotFound
from toka.orchestration_service._render import render_run, render_run_detail, state_of
from toka.orchestration_service._shapes import (
    RetryRun,
    RunPage,
    RunStateName,
    StartedRun,
    StartRun,
)
from toka.types import NULL, AgentId, EventId

if TYPE_CHECKING:
    from toka.orchestration import RunView
    from toka.orchestration_service._call import Call
    from toka.orchestration_service._shapes import Run, RunDetail


async def list_runs(call: Call) -> RunPage:
    """Return a page of runs.

    Raises:
        MalformedRequest: A parameter is no good.
    """
    projection, active = call.service.projection, call.service.executions.active
    limit, after = call.page_size(), call.text("after")
    newest_first = call.choice("order", ("newest", "oldest")) == "newest"
    states = call.texts("state", get_args(RunStateName))
    text = call.text("text").casefold()
    runs = (await projection.current()).by_id

    def is_wanted(view: RunView) -> bool:
        if after and not (view.run < after if newest_first else view.run > after):
            return False
        if states and state_of(view, executing=view.run in active) not in states:
            return False
        return not text or text in view.name.casefold() or text in view.run.casefold()

    # Identifiers grow with time and the projection has them in the log's order.
    views = reversed(runs.values()) if newest_first else iter(runs.values())
    wanted = islice((view for view in views if is_wanted(view)), limit + 1)
    found = [render(call, view) for view in wanted]
    is_full = len(found) > limit and found[-1].run > projection.newest_archived
    if not (newest_first and is_full):
        older = await projection.archived(after, limit + 1, states, text, newest_first=newest_first)
        # One that is moved to disk while this waits is in both.
        by_name = {run.run: run for run in (*older, *found)}
        found = [by_name[name] for name in sorted(by_name, reverse=newest_first)]
    page = tuple(found[:limit])
    return RunPage(page, page[-1].run if len(found) > limit else None)


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
    await call.service.executions.wait_for_room()
    definition, warnings = await call.service.sources.define(wanted)
    return StartedRun(await _begin(call, definition, key), warnings)


async def retry_run(call: Call) -> StartedRun:
    """Begin another run of what an ended run was defined by, under the caller's token.

    Raises:
        NotFound: There is no such run.
        Conflict: It has not ended, or was not begun by this engine.
        UnknownStep: It has no such step.
        StepNotRecorded: Its outcomes are gone from the log.
        SpecChanged: It is to go on from a step, and its specification has been edited since.
        Rejected: The token does not cover what the run's agents ask for.
        KeyReused: The Idempotency-Key was used for another run.
        TooMany: Too many runs are unfinished.
    """
    call.require(f"run:read:{call.parameters['run']}")
    key, view = call.idempotency_key(), await find_run(call)
    wanted = await call.body_or(RetryRun())
    if not view.ended or view.spec == NULL:
        raise Conflict(
            f"Run {view.run} has not ended, or has no definition to begin it by again.",
            hint="Wait for its end, or cancel it.",
            details={"run": view.run},
        )
    await call.service.executions.wait_for_room()
    return StartedRun(await _begin(call, await _definition_of(call, view, wanted), key), ())


async def _definition_of(call: Call, view: RunView, wanted: RetryRun) -> RunDefinition:
    sources = call.service.sources
    if not wanted.step:
        return sources.again(RunDefinition.decode(view.spec))
    call.require(f"event:read:{view.run}/**")
    step = EventId(wanted.step.upper())
    definition = await define_retry(call.service.runtime.store, view.run, step)
    await sources.require_unchanged(definition)
    return definition


async def _begin(call: Call, definition: RunDefinition, key: str) -> Run:
    orchestrator = call.service.orchestrator
    run = await orchestrator.begin(definition, call.token, idempotency_key=key, at_door=True)
    view = orchestrator.begun(run) or await call.service.projection.find(run)
    assert view is not None  # noqa: S101 - it is committed
    if key and not _is_same(RunDefinition.decode(view.spec), definition):
        raise KeyReused(
            f"The Idempotency-Key was used before, to begin run {run} of something else.",
            hint="Use a new key for a new request.",
            details={"run": run},
        )
    if not view.ended:
        call.service.executions.start(run)
    return render(call, view)


def _is_same(recorded: RunDefinition, wanted: RunDefinition) -> bool:
    return (recorded.key, recorded.retries) == (wanted.key, wanted.retries)


async def find_run(call: Call) -> RunView:
    """Return the run that the path names.

    Raises:
        NotFound: There is none.
    """
    name = call.parameters["run"]
    view = await call.service.projection.find(name)
    if view is None:
        raise NotFound(f"There is no run {name}.", hint="GET /v1/runs lists the runs.")
    return view


def render(call: Call, view: RunView) -> Run:
    return render_run(view, executing=AgentId(view.run) in call.service.executions.active)
