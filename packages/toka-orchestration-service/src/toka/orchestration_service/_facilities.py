"""Handlers of what the service is made of: tools, keys, what was taken back, health of parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, Protocol

import msgspec

from toka.orchestration_service._shapes_system import (
    HealthDetail,
    Key,
    KeyList,
    Part,
    Revocation,
    RevocationPage,
    Tool,
    ToolList,
)
from toka.types import TokaError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toka.orchestration_service._call import Call
    from toka.orchestration_service._service import Service

MAX_BEHIND: Final = 1_000
"""Events that the view may be behind and still count as up to date."""


class AccessFacts(Protocol):
    """What is public of how tokens are checked."""

    async def keys(self) -> Sequence[Key]:
        """Return the keys that tokens are checked with, those that sign first."""
        ...

    async def revocations(self, after: int, limit: int) -> Sequence[Revocation]:
        """Return what was taken back behind a revision, oldest first.

        Raises:
            TokaError: The revocations cannot be read.
        """
        ...


async def list_tools(call: Call) -> ToolList:
    """Return the tools that agents can be allowed on this host."""
    return ToolList(
        tuple(
            Tool(
                tool.name,
                tool.version,
                tool.description,
                tool.side_effect,
                tool.taints,
                tool.honours_idempotency_key,
                msgspec.Raw(msgspec.json.encode(tool.parameters)),
            )
            for tool in call.service.orchestrator.tools
        )
    )


async def list_keys(call: Call) -> KeyList:
    """Return what is public of the keys; nothing where the service was not told of them."""
    facts = call.service.settings.facts
    return KeyList(() if facts is None else tuple(await facts.keys()))


async def list_revocations(call: Call) -> RevocationPage:
    """Return a page of what was taken back.

    Raises:
        MalformedRequest: A parameter is no good.
    """
    facts, limit = call.service.settings.facts, call.page_size()
    after = call.number("after", 0, 2**53)
    found = [] if facts is None else list(await facts.revocations(after, limit + 1))
    page = tuple(found[:limit])
    return RevocationPage(page, str(page[-1].revision) if len(found) > limit else None)


async def get_health(call: Call) -> HealthDetail:
    """Return how the parts of the service do, measured now."""
    service = call.service
    parts = (await _log(service), _projection(service), _runs(service), _streams(service))
    sound = all(part.state == "ok" for part in parts)
    return HealthDetail("ok" if sound else "degraded", service.version, service.uptime, parts)


async def _log(service: Service) -> Part:
    try:
        stats = await service.runtime.store.stats()
    except TokaError as error:
        return Part("log", "failed", error.message, {})
    figures: dict[str, int | float] = {
        "events": stats.events,
        "stored_bytes": stats.stored_bytes,
        "waiting": stats.waiting,
        "appended": stats.appended,
        "commits": stats.commits,
    }
    scheme = stats.location.partition(":")[0]
    return Part("log", "ok", f"{stats.events:,} events in {scheme}.", figures)


def _projection(service: Service) -> Part:
    behind = max(0, service.runtime.position - service.projection.runs.position)
    state: Literal["ok", "behind"] = "behind" if behind > MAX_BEHIND else "ok"
    runs, kept = sum(service.projection.totals().runs.values()), len(service.projection.runs.by_id)
    figures: dict[str, int | float] = {"behind": behind, "runs": runs, "in_memory": kept}
    return Part("view", state, f"What is shown is {behind:,} events behind the log.", figures)


def _runs(service: Service) -> Part:
    stopped = service.executions.stopped
    active = len(service.executions.active)
    figures: dict[str, int | float] = {"active": active}
    if stopped is None:
        return Part("runs", "ok", f"{active} go on.", figures)
    return Part("runs", "failed", f"Run {stopped.run} stopped: {stopped.reason}", figures)


def _streams(service: Service) -> Part:
    streams = service.meter.streams
    return Part("streams", "ok", f"{streams} streams of events are open.", {"open": streams})
