"""Why an event happened, and who allowed it: told by the log, and by nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from toka.capability.core import PermissionSet
from toka.kernel import (
    AgentSpawned,
    StepCompleted,
    StepCopied,
    StepFailed,
    StepStarted,
    TokenAdmitted,
)
from toka.runtime._log import from_store
from toka.runtime._outcomes import find_outcome
from toka.store.core import InvalidEvent, Query
from toka.types import EventId

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toka.kernel import KernelEvent
    from toka.runtime._log import Logged
    from toka.store.core import Event, EventStore

MAX_CAUSES: Final = 100
"""Causes that an explanation holds, the newest ones."""
_ADMISSIONS: Final = Query(kinds=(TokenAdmitted.kind,))


@attrs.frozen
class Allowance:
    """A permission that an effect needed, and the one that covers it."""

    needed: str
    granting: str
    """Of the token's; empty where a person's approval stood in for it."""


@attrs.frozen
class Explanation:
    """An event, what caused it, and under which capabilities."""

    event: Logged
    causes: tuple[Logged, ...]
    """Newest first."""
    tokens: dict[str, TokenAdmitted]
    """Every token that the event or a cause names, as it was admitted."""
    grants: dict[str, Logged]
    """By token: the event that gave the token's subject its permissions, where the log has one."""
    copied_from: tuple[Logged, ...] = ()
    """Of a copied step: the outcomes that it was copied from, the one that was first made last."""

    def allowed_by(self, event: KernelEvent) -> tuple[Allowance, ...]:
        """Return each permission that a step required, with the one of its token that covers it.

        Of a copied step, what was required and granted where the outcome was first made.
        """
        if isinstance(event.body, StepCopied) and self.copied_from and event == self.event.event:
            event = self.copied_from[-1].event
        body, admitted = event.body, self.tokens.get(event.token)
        if not isinstance(body, (StepCompleted, StepFailed, StepStarted)):
            return ()
        terms = None if body.intent is None else body.intent.terms
        if terms is None or admitted is None:
            return ()
        held = PermissionSet.parse((*admitted.permissions, *admitted.untainted))
        pairs = [(needed, held.covers(needed)) for needed in terms.requires]
        return tuple([Allowance(needed, str(granting or "")) for needed, granting in pairs])


async def find_event(store: EventStore, name: str) -> Event | None:
    """Return the event at a position, or with an identifier, or None.

    Raises:
        StoreError: The log cannot be read.
    """
    if name.isascii() and name.isdecimal():
        position = int(name)
        page = await store.read_page(position - 1, 1) if 0 < position <= 1 << 53 else []
        return page[0] if page else None
    try:
        return await store.get(EventId(name.upper()))
    except InvalidEvent:
        return None


async def explain(
    store: EventStore,
    event: Event,
    *,
    known: Mapping[str, TokenAdmitted] | None = None,
    limit: int = MAX_CAUSES,
) -> Explanation:
    """Gather what the log says about one of its events.

    Args:
        store: The log.
        event: One of its events.
        known: Tokens that need not be looked for.
        limit: The most causes, the newest ones.

    Raises:
        StoreError: The log cannot be read.
        KernelError: An event is of a kind that this version does not know.
    """
    logged = from_store(event)
    causes = await store.ancestors(event.id, limit=limit)
    origins = await _origins(store, logged)
    # Origins are causes as well, but so old that a long chain of newer ones may leave them out.
    chain = (logged, *(from_store(cause) for cause in causes))
    known_causes = {each.event.id for each in chain}
    told = (*chain, *(each for each in origins if each.event.id not in known_causes))
    tokens = await _tokens(store, told, known or {})
    spawned = {
        each.event.stream: each for each in chain if isinstance(each.event.body, AgentSpawned)
    }
    grants = {
        token: spawned[body.subject] for token, body in tokens.items() if body.subject in spawned
    }
    return Explanation(logged, chain[1:], tokens, grants, origins)


async def _origins(store: EventStore, logged: Logged) -> tuple[Logged, ...]:
    if not isinstance(logged.event.body, StepCopied):
        return ()
    outcome = await find_outcome(store, logged.event.id)
    return () if outcome is None else outcome.chain[1:]


async def _tokens(
    store: EventStore, chain: tuple[Logged, ...], known: Mapping[str, TokenAdmitted]
) -> dict[str, TokenAdmitted]:
    """Return the tokens that events name, in the order of the chain from its oldest event."""
    wanted = dict.fromkeys(each.event.token for each in reversed(chain))
    found = {token: known[token] for token in wanted if token in known}
    missing = wanted.keys() - found.keys()
    if missing:
        # A token is admitted with the first event under it, so the newest ones are found soonest.
        reading = store.read(chain[0].position + 1, where=_ADMISSIONS, backward=True)
        async for stored in reading:
            body = from_store(stored).event.body
            if isinstance(body, TokenAdmitted) and body.token in missing:
                found[body.token] = body
                missing -= {body.token}
                if not missing:
                    break
        await reading.aclose()
    return {token: found[token] for token in wanted if token in found}
