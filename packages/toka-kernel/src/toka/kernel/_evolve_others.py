"""How facts about approvals, reservations, tokens and hosts change the state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET

from toka.kernel._account import ZERO, negative, triple
from toka.kernel._changes import (
    agent_of_event,
    books_of,
    family_of,
    payers_of,
    task_of_event,
    unfitting,
    with_agent,
    with_books,
    with_family,
    with_task,
    worked,
)
from toka.kernel._copying import evolve
from toka.kernel._ledger import book, open_accounts
from toka.kernel._state import (
    FIRST_SWEEP,
    ApprovalState,
    Family,
    Host,
    Inquiry,
    KernelState,
    Reservation,
    is_agent,
)
from toka.types import NANOSECONDS, NULL, AgentId, EntityId, root_of

if TYPE_CHECKING:
    from toka.kernel._approval_facts import (
        ApprovalConsumed,
        ApprovalExpired,
        ApprovalRequested,
        ApprovalResolved,
    )
    from toka.kernel._budget_facts import BudgetReserved, BudgetSettled
    from toka.kernel._event import KernelEvent
    from toka.kernel._system_facts import HostOpened, TokenAdmitted


def approval_requested(
    state: KernelState, event: KernelEvent, body: ApprovalRequested
) -> KernelState:
    """Open the request, and let the task wait for it."""
    family = family_of(state, event)
    identifier, task = task_of_event(family, event, body.task)
    approval = ApprovalState(
        identifier,
        event.actor,
        body.name,
        body.arguments,
        body.question,
        body.expires,
        body.on_expiry,
        None,
        event.id,
        UNSET if body.form is UNSET else Inquiry(body.form.copy()),
    )
    task = evolve(task, approvals=(*task.approvals, body.approval), last=event.id)
    family = _asking(with_task(family, identifier, task), event, body.task, 1)
    state = with_family(state, event, family)
    return evolve(state, approvals=state.approvals.insert(body.approval, approval))


def _asking(family: Family, event: KernelEvent, number: int, change: int) -> Family:
    """Count the task's unanswered approvals; the agent counts the tasks that have any."""
    identifier, task = task_of_event(family, event, number)
    waiting = task.asking + change
    family = with_task(family, identifier, evolve(task, asking=waiting))
    if task.phase == "running" and bool(waiting) != bool(task.asking):
        agent = worked(agent_of_event(family, event), asking=1 if waiting else -1)
        family = with_agent(family, event, agent)
    return family


def approval_resolved(
    state: KernelState, event: KernelEvent, body: ApprovalResolved
) -> KernelState:
    """Note the answer: a yes is good until the request expires, what was said stays said."""
    inquiry = _approval(state, event, body.approval).inquiry
    if inquiry is UNSET:
        return _answer(state, event, body, expires=True)
    said = NULL if body.answer is UNSET else body.answer.copy()
    inquiry = Inquiry(inquiry.form, said, event.actor, body.reason)
    return _answer(state, event, body, expires=False, inquiry=inquiry)


def approval_expired(state: KernelState, event: KernelEvent, body: ApprovalExpired) -> KernelState:
    """Note the stated outcome, which is good while the task lasts."""
    return _answer(state, event, body, expires=False)


def _answer(
    state: KernelState,
    event: KernelEvent,
    body: ApprovalResolved | ApprovalExpired,
    *,
    expires: bool,
    inquiry: Inquiry | None = None,
) -> KernelState:
    known = _approval(state, event, body.approval)
    answered = evolve(
        known,
        answer=body.decision,
        event=event.id,
        expires=known.expires if expires else None,
        inquiry=inquiry or known.inquiry,
    )
    family = _asking(family_of(state, event), event, body.task, -1)
    state = with_family(state, event, family)
    return evolve(state, approvals=state.approvals.insert(body.approval, answered))


def approval_consumed(
    state: KernelState, event: KernelEvent, body: ApprovalConsumed
) -> KernelState:
    """Use the approval up."""
    _approval(state, event, body.approval)
    family = family_of(state, event)
    identifier, task = task_of_event(family, event, body.task)
    left = tuple([approval for approval in task.approvals if approval != body.approval])
    family = with_task(family, identifier, evolve(task, approvals=left))
    state = with_family(state, event, family)
    return evolve(state, approvals=state.approvals.remove(body.approval))


def _approval(state: KernelState, event: KernelEvent, approval: EntityId) -> ApprovalState:
    known = state.approvals.get(approval)
    if known is None:
        raise unfitting(event)
    return known


def budget_reserved(state: KernelState, event: KernelEvent, body: BudgetReserved) -> KernelState:
    """Set the amount aside."""
    family = family_of(state, event)
    agent = agent_of_event(family, event)
    agent = evolve(agent, reservations=(*agent.reservations, body.reservation))
    family = with_agent(family, event, agent)
    payers, identifier = payers_of(state, event, family), AgentId(event.stream)
    books = book(books_of(state, family), identifier, triple(body.amounts), ZERO, payers)
    reservation = Reservation(identifier, body.amounts, event.id, payers)
    state = with_books(state, event, family, books)
    return evolve(state, reservations=state.reservations.insert(body.reservation, reservation))


def budget_settled(state: KernelState, event: KernelEvent, body: BudgetSettled) -> KernelState:
    """Book what was spent, and return the rest."""
    known = state.reservations.get(body.reservation)
    if known is None:
        raise unfitting(event)
    family = family_of(state, event)
    agent = agent_of_event(family, event)
    left = tuple([other for other in agent.reservations if other != body.reservation])
    family = with_agent(family, event, evolve(agent, reservations=left))
    aside, spent = negative(triple(known.amounts)), triple(body.spent)
    books = book(books_of(state, family), known.agent, aside, spent, known.payers)
    state = with_books(state, event, family, books)
    return evolve(state, reservations=state.reservations.remove(body.reservation))


def token_admitted(state: KernelState, event: KernelEvent, body: TokenAdmitted) -> KernelState:
    """Remember what the token said, while it is of use, and open the accounts that it draws on.

    Those that have expired, and those of agents whose family has ended, are looked for only when
    there are twice as many as after the last look, so the cost for each token stays constant, and
    memory stays within twice what is of use.
    """
    tokens, sweep = state.tokens.insert(body.token, body), state.sweep
    accounts = open_accounts(state.accounts, body)
    if len(tokens) >= sweep:
        for token, admitted in state.tokens.items():
            if _is_of_no_use(state, admitted, event.time):
                tokens = tokens.remove(token)
        for name, account in accounts.items():
            if account.until * NANOSECONDS <= event.time and account.idle:
                accounts = accounts.remove(name)
        sweep = max(FIRST_SWEEP, 2 * len(tokens))
    return evolve(state, tokens=tokens, sweep=sweep, accounts=accounts)


def _is_of_no_use(state: KernelState, admitted: TokenAdmitted, now: int) -> bool:
    if admitted.expires_at * NANOSECONDS <= now:
        return True
    # An agent's token outlives its run by up to an hour, and a run may take milliseconds. Should
    # somebody use it all the same, it is admitted anew, which is on record.
    root = root_of(AgentId(admitted.subject))
    return is_agent(admitted.subject) and root not in state.families


def host_opened(state: KernelState, event: KernelEvent, body: HostOpened) -> KernelState:
    """Begin the epoch."""
    return evolve(state, host=Host(body.epoch, body.holder, event.id))
