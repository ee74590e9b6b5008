"""Handlers of what an agent may do: each permission, and every hand that it went through."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from toka.capability.core import Permission, PermissionSet
from toka.kernel import AgentSpawned, TokenAdmitted
from toka.orchestration_service._agents import find_agent
from toka.orchestration_service._shapes_agents import Capability, CapabilityList, Origin
from toka.orchestration_service._tokens import render_token
from toka.runtime import explain, from_store
from toka.types import MAX_AGENT_DEPTH, AgentId

if TYPE_CHECKING:
    from toka.kernel import KernelEvent
    from toka.orchestration_service._call import Call
    from toka.orchestration_service._service import Service


async def list_capabilities(call: Call) -> CapabilityList:
    """Return the permissions of an agent, and where each came from.

    Raises:
        NotFound: There is no such agent.
    """
    view = await find_agent(call)
    service = call.service
    grants = await _grants(service, view.agent)
    first = grants[0].body if grants else None
    untainted = () if first is None else first.untainted
    held = [(each, False) for each in view.permissions] + [(each, True) for each in untainted]
    known = service.runtime.state.agent(view.agent)
    return CapabilityList(
        agent=view.agent,
        tainted=known is not None and known.tainted,
        capabilities=tuple(
            Capability(permission, guarded, _origins(permission, grants))
            for permission, guarded in held
        ),
        tokens=tuple(render_token(grant.token) for grant in grants if grant.token is not None),
    )


@attrs.frozen
class _Grant:
    """A spawning: what it gave, and what the token said under which it was asked for."""

    event: KernelEvent
    body: AgentSpawned
    token: TokenAdmitted | None


async def _grants(service: Service, agent: AgentId) -> list[_Grant]:
    """Return the spawning of an agent, that of whoever spawned it, and so on to the outside."""
    found: list[_Grant] = []
    stream: str = agent
    while len(found) <= MAX_AGENT_DEPTH:
        grant = await _grant(service, stream)
        if grant is None:
            break
        found.append(grant)
        stream = grant.event.actor
    return found


async def _grant(service: Service, stream: str) -> _Grant | None:
    store = service.runtime.store
    reading = store.read_stream(stream, limit=1)
    try:
        stored = await anext(reading, None)
    finally:
        await reading.aclose()
    if stored is None or stored.compacted:
        return None
    event = from_store(stored).event
    if not isinstance(event.body, AgentSpawned):
        return None
    told = await explain(store, stored, known=service.runtime.state.tokens, limit=1)
    return _Grant(event, event.body, told.tokens.get(event.token))


def _origins(permission: str, grants: list[_Grant]) -> tuple[Origin, ...]:
    origins: list[Origin] = []
    needed = permission
    for index, grant in enumerate(grants):
        if grant.token is None:
            break
        held = PermissionSet.parse((*grant.token.permissions, *grant.token.untainted))
        granting = held.covers(Permission.parse(needed))
        if granting is None:
            break
        needed = str(granting)
        above = grants[index + 1].event.id if index + 1 < len(grants) else None
        origins.append(Origin(grant.token.subject, needed, grant.event.token, above))
    return tuple(origins)
