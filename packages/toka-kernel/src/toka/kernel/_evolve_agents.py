"""How facts about agents change the state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toka.kernel._account import ZERO, Account, negative, slice_of, triple
from toka.kernel._changes import (
    agent_of_event,
    books_of,
    family_of,
    links_of,
    unfitting,
    with_agent,
    with_books,
    with_family,
    worked,
)
from toka.kernel._copying import evolve
from toka.kernel._ledger import Books, charge, close, count_agent, draw, paying
from toka.kernel._state import AgentState, Family, KernelState, Mail
from toka.kernel._tables import EMPTY_TABLE
from toka.types import AgentId, EntityId, parent_of

if TYPE_CHECKING:
    from toka.kernel._agent_facts import (
        AgentCompleted,
        AgentFailed,
        AgentRestarted,
        AgentResumed,
        AgentSpawned,
        AgentSuspended,
        AgentTerminated,
        MessageConsumed,
        MessageSent,
        ObservationEmitted,
    )
    from toka.kernel._event import KernelEvent
    from toka.kernel._phases import AgentPhase


def agent_spawned(state: KernelState, event: KernelEvent, body: AgentSpawned) -> KernelState:
    """Add the agent; its budget is taken out of its parent's."""
    family = Family() if body.parent is None else family_of(state, event)
    agent = AgentState(
        body.name,
        "configured",
        event.time,
        event.id,
        body.permissions,
        body.untainted,
        Account(body.budget),
        tainted=body.tainted,
        copies_from=body.copies_from,
    )
    return _adopt(state, event, family, agent)


def _adopt(
    state: KernelState, event: KernelEvent, family: Family, agent: AgentState
) -> KernelState:
    """Add an agent that begins to live, count it in its parent, and grant it its slice."""
    parent = parent_of(AgentId(event.stream))
    payers = paying((*agent.payers, *links_of(state, event)), family.agents, parent)
    family = with_agent(family, event, evolve(agent, payers=payers))
    if parent is not None:
        if parent not in family.agents:
            raise unfitting(event)
        known = family.agents[parent]
        agents = family.agents.insert(parent, evolve(known, children=known.children + 1))
        family = Family(agents, family.tasks)
    tokens = count_agent(count_agent(state.accounts, agent.payers, -1), payers, 1)
    books = draw(Books(family.agents, tokens), parent, payers, slice_of(agent.account.limit))
    return with_books(state, event, family, books)


def agent_suspended(state: KernelState, event: KernelEvent, _: AgentSuspended) -> KernelState:
    """Stop the agent."""
    family = family_of(state, event)
    agent = worked(agent_of_event(family, event), "suspend")
    agent = evolve(agent, since=event.time, cause=event.id)
    return with_family(state, event, with_agent(family, event, agent))


def agent_resumed(state: KernelState, event: KernelEvent, _: AgentResumed) -> KernelState:
    """Put the agent into the phase that its tasks give it."""
    family = family_of(state, event)
    agent = worked(agent_of_event(family, event), "resume")
    agent = evolve(agent, since=event.time, cause=event.id)
    return with_family(state, event, with_agent(family, event, agent))


def agent_restarted(state: KernelState, event: KernelEvent, body: AgentRestarted) -> KernelState:
    """Open the agent's account again; what it had spent before stays its parent's expense."""
    family = family_of(state, event)
    agent = worked(agent_of_event(family, event), "restart")
    agent = evolve(agent, since=event.time, cause=event.id, account=Account(body.budget))
    return _adopt(state, event, family, agent)


def agent_completed(state: KernelState, event: KernelEvent, _: AgentCompleted) -> KernelState:
    """End the agent."""
    return _end(state, event, "completed")


def agent_failed(state: KernelState, event: KernelEvent, _: AgentFailed) -> KernelState:
    """End the agent."""
    return _end(state, event, "failed")


def agent_terminated(state: KernelState, event: KernelEvent, _: AgentTerminated) -> KernelState:
    """End the agent."""
    return _end(state, event, "terminated")


def _end(state: KernelState, event: KernelEvent, phase: AgentPhase) -> KernelState:
    """End an agent whose tasks and children have ended; with a root, its family goes."""
    family = family_of(state, event)
    agent = agent_of_event(family, event)
    state = _without_reservations(state, agent)
    identifier = AgentId(event.stream)
    parent = parent_of(identifier)
    books = close(books_of(state, family), identifier)
    agents = books.agents
    if parent is None:
        return _dropped(state, event, books)
    ended = evolve(
        agents[identifier],
        phase=phase,
        since=event.time,
        cause=event.id,
        reservations=(),
        mailbox=EMPTY_TABLE,
    )
    above = agents[parent]
    agents = agents.insert(identifier, ended)
    agents = agents.insert(parent, evolve(above, children=above.children - 1))
    return with_books(state, event, family, Books(agents, books.tokens))


def _dropped(state: KernelState, event: KernelEvent, books: Books) -> KernelState:
    """Forget a family, and that its agents drew on accounts of tokens."""
    tokens = books.tokens
    if tokens:
        for agent in books.agents.values():
            tokens = count_agent(tokens, agent.payers, -1)
    families = state.families.remove(EntityId(event.intent))
    return evolve(state, families=families, accounts=tokens)


def _without_reservations(state: KernelState, agent: AgentState) -> KernelState:
    if not agent.reservations:
        return state
    reservations, tokens = state.reservations, state.accounts
    for reservation in agent.reservations:
        known = reservations[reservation]
        tokens = charge(tokens, known.payers, negative(triple(known.amounts)), ZERO)
        reservations = reservations.remove(reservation)
    return evolve(state, reservations=reservations, accounts=tokens)


def observation_emitted(
    state: KernelState, event: KernelEvent, _: ObservationEmitted
) -> KernelState:
    """Change nothing: an observation is for the log's readers."""
    agent_of_event(family_of(state, event), event)
    return state


def message_sent(state: KernelState, event: KernelEvent, body: MessageSent) -> KernelState:
    """Put the message into the mailbox; its text stays in the log."""
    family = family_of(state, event)
    agent = agent_of_event(family, event)
    mail = Mail(agent.next_mail, body.sender, event.id)
    agent = evolve(
        agent, mailbox=agent.mailbox.insert(body.message, mail), next_mail=agent.next_mail + 1
    )
    return with_family(state, event, with_agent(family, event, agent))


def message_consumed(state: KernelState, event: KernelEvent, body: MessageConsumed) -> KernelState:
    """Take the message out of the mailbox."""
    family = family_of(state, event)
    agent = agent_of_event(family, event)
    if body.message not in agent.mailbox:
        raise unfitting(event)
    agent = evolve(agent, mailbox=agent.mailbox.remove(body.message))
    return with_family(state, event, with_agent(family, event, agent))
