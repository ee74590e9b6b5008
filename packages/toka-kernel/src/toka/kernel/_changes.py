"""What every `evolve` function needs: finding what an event concerns, and putting it back changed.

An event was decided against the state that it is applied to, so whatever it names is there; if not,
the log has a gap, and going on would make a state that nobody decided.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from toka.kernel._copying import evolve
from toka.kernel._errors import ReplayError
from toka.kernel._ledger import Books, paying
from toka.kernel._phases import AGENT_TRANSITIONS, activity
from toka.kernel._state import Family, KernelState
from toka.types import AgentId, EntityId, TaskId, task_id

if TYPE_CHECKING:
    from toka.kernel._event import KernelEvent
    from toka.kernel._phases import AgentTrigger
    from toka.kernel._state import AgentState, TaskState


def family_of(state: KernelState, event: KernelEvent) -> Family:
    """Return the family that an event concerns."""
    family = state.families.get(EntityId(event.intent))
    if family is None:
        raise unfitting(event)
    return family


def agent_of_event(family: Family, event: KernelEvent) -> AgentState:
    """Return the agent in whose stream an event is."""
    known = family.agents.get(AgentId(event.stream))
    if known is None:
        raise unfitting(event)
    return known


def task_of_event(family: Family, event: KernelEvent, number: int) -> tuple[TaskId, TaskState]:
    """Return the task that an event concerns."""
    identifier = task_id(AgentId(event.stream), number)
    known = family.tasks.get(identifier)
    if known is None:
        raise unfitting(event)
    return identifier, known


def unfitting(event: KernelEvent) -> ReplayError:
    """Return what to raise for an event that does not fit the state."""
    return ReplayError(
        f"Event {event.id} ({event.kind}) in stream {event.stream} does not fit the state.",
        hint="The log has a gap, or events were applied in another order than they were decided.",
        details={"event": event.id, "kind": event.kind, "stream": event.stream},
    )


def with_family(state: KernelState, event: KernelEvent, family: Family) -> KernelState:
    """Return the state with a family changed."""
    return KernelState(
        state.families.insert(EntityId(event.intent), family),
        state.approvals,
        state.reservations,
        state.tokens,
        state.sweep,
        state.host,
        state.extensions,
        state.accounts,
    )


def books_of(state: KernelState, family: Family) -> Books:
    """Return the accounts of a family, with those of tokens."""
    return Books(family.agents, state.accounts)


def with_books(state: KernelState, event: KernelEvent, family: Family, books: Books) -> KernelState:
    """Return the state with a family changed, and the accounts as the books have them."""
    state = with_family(state, event, Family(books.agents, family.tasks))
    if books.tokens is state.accounts:
        return state
    return evolve(state, accounts=books.tokens)


def payers_of(state: KernelState, event: KernelEvent, family: Family) -> tuple[str, ...]:
    """Return the accounts that pay for what is done, beside those that pay for its agent."""
    links = links_of(state, event)
    return paying(links, family.agents, AgentId(event.stream)) if links else ()


def links_of(state: KernelState, event: KernelEvent) -> list[str]:
    """Return the accounts of the token that an event was decided under."""
    return [link.token for link in state.tokens[event.token].accounts]


def with_agent(family: Family, event: KernelEvent, agent: AgentState) -> Family:
    """Return the family with an agent changed."""
    return Family(family.agents.insert(AgentId(event.stream), agent), family.tasks)


def with_task(family: Family, identifier: TaskId, task: TaskState | None) -> Family:
    """Return the family with a task changed, or gone."""
    tasks = family.tasks
    return Family(
        family.agents, tasks.remove(identifier) if task is None else tasks.insert(identifier, task)
    )


def worked(
    agent: AgentState,
    trigger: AgentTrigger = "work",
    *,
    queued: int = 0,
    running: int = 0,
    asking: int = 0,
    failed: int = 0,
    scheduled: int = 0,
) -> AgentState:
    """Return the agent with its counts changed by that much, in the phase they put it in."""
    queued, running, asking = agent.queued + queued, agent.running + running, agent.asking + asking
    tasks = agent.next_task + scheduled
    phase = AGENT_TRANSITIONS[agent.phase][trigger]
    if phase == "active":
        phase = activity(tasks=tasks, queued=queued, running=running, asking=asking)
    return evolve(
        agent,
        phase=phase,
        queued=queued,
        running=running,
        asking=asking,
        failed=agent.failed + failed,
        next_task=tasks,
    )
