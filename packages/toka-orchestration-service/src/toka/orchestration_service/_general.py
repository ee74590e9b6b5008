"""Handlers of what concerns the whole service: health and status, as in the original."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toka.orchestration_service._render import children_of
from toka.orchestration_service._shapes import Health, Status

if TYPE_CHECKING:
    from typing import Literal

    from toka.orchestration_service._call import Call
    from toka.orchestration_service._service import Service


async def health(call: Call) -> Health:
    """Say that the service works; an error if the log has failed."""
    service = call.service
    living = sum(
        agent.ended is None
        for run in service.projection.runs.by_id.values()
        if not run.ended
        for agent in children_of(run)
    )
    return Health("healthy", service.version, _phase(service), living, service.uptime)


async def status(call: Call) -> Status:
    """Return how far the work has come."""
    runs = await call.service.projection.current()
    service = call.service
    unfinished = [
        agent for run in runs.by_id.values() if not run.ended for agent in children_of(run)
    ]
    ended = sum(agent.ended is not None for agent in unfinished)
    stopped = service.executions.stopped
    return Status(
        session_id=str(service.runtime.state.host.event or ""),
        current_phase=_phase(service),
        progress=ended / len(unfinished) if unfinished else 1.0,
        completed=all(run.ended for run in runs.by_id.values()),
        error=f"Run {stopped.run} stopped: {stopped.reason}" if stopped else None,
        spawned_agents=sum(service.projection.totals().agents.values()),
    )


def _phase(service: Service) -> Literal["idle", "running"]:
    return "running" if service.executions.active else "idle"
