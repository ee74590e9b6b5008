"""Handlers of runs: list, look at, begin, cancel."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import anyio.to_thread

from toka.orchestration import RunDefinition
from toka.orchestration_service._errors import (
    Conflict,
    KeyReused,
    MalformedRequest,
    NotFound,
)
from toka.orchestration_service._render import render_run, render_run_detail
from toka.orchestration_service._shapes import CancelRun, RunPage, StartedRun, StartRun
from toka.orchestration_service._sources import define
from toka.types import MAX_IDEMPOTENCY_KEY_BYTES, AgentId, EntityId

if TYPE_CHECKING:
    from toka.orchestration import RunView
    from toka.orchestration_service._call import Call
    from toka.orchestration_service._shapes import Run, RunDetail


async def list_runs(call: Call) -> RunPage:
    """Return a page of runs, oldest first."""
    runs = await call.service.projection.current()
    after, limit = call.text("after"), call.page_size()
    # Identifiers grow with time and the projection has them in the log's order.
    wanted = (run for identifier, run in runs.by_id.items() if identifier > after)
    page = tuple(_render(call, run) for run in islice(wanted, limit))
    return RunPage(page, page[-1].run if next(wanted, None) else None)


async def get_run(call: Call) -> RunDetail:
    """Return one run.

    Raises:
        NotFound: There is none.
    """
    view = await find_run(call)
    return render_run_detail(view, executing=view.run in call.service.executions.active)


async def start_run(call: Call) -> StartedRun:
    """Begin a run under the caller's token.

    Raises:
        SpecError: The specification is not usable.
        Rejected: The token does not cover what the run's agents ask for.
        KeyReused: The Idempotency-Key was used for another run.
        TooMany: Too many runs are unfinished.
    """
    key = _idempotency_key(call)
    wanted = await call.body(StartRun)
    call.service.executions.require_room()
    definition, warnings = await anyio.to_thread.run_sync(define, call.service.settings, wanted)
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
    return StartedRun(_render(call, view), warnings)


async def cancel_run(call: Call) -> Run:
    """End a run, under the caller's token.

    Raises:
        NotFound: There is none.
        Conflict: It has ended.
        Rejected: The token does not cover it.
    """
    wanted = await call.body(CancelRun) if call.request.can_read_body else CancelRun()
    view = await find_run(call)
    if view.ended:
        raise Conflict(f"Run {view.run} has ended.", details={"run": view.run})
    await call.service.orchestrator.cancel(view.run, wanted.reason, call.token, at_door=True)
    await call.service.projection.current()
    return _render(call, view)


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


def _render(call: Call, view: RunView) -> Run:
    return render_run(view, executing=AgentId(view.run) in call.service.executions.active)


def _idempotency_key(call: Call) -> str:
    key = call.request.headers.get("Idempotency-Key", "")
    if len(key.encode(errors="replace")) > MAX_IDEMPOTENCY_KEY_BYTES or not key.isprintable():
        raise MalformedRequest(
            f"The Idempotency-Key is over {MAX_IDEMPOTENCY_KEY_BYTES} bytes, or not printable."
        )
    return key
