"""Decisions about observations, messages, reservations and hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toka.kernel._account import triple
from toka.kernel._agent_facts import MessageSent, ObservationEmitted
from toka.kernel._budget_facts import BudgetReserved, BudgetSettled
from toka.kernel._decision import HOSTS, require_amounts, require_text
from toka.kernel._limits import MAX_HOLDER_BYTES, MAX_OPEN_RESERVATIONS
from toka.kernel._rejection import refuse
from toka.kernel._system_facts import HostOpened
from toka.types import MAX_MAILBOX_MESSAGES, AgentId

if TYPE_CHECKING:
    from toka.kernel._decision import Decision
    from toka.types import EmitObservation, OpenHost, ReserveBudget, SendMessage, SettleBudget


def emit_observation(decision: Decision, operation: EmitObservation) -> None:
    """Record what an agent wants remembered."""
    decision.allow(f"agent:act:{operation.agent}")
    known = decision.agent(operation.agent, "work")
    observed = ObservationEmitted(operation.topic, operation.data)
    decision.record_for(operation.agent, observed, known.cause)


def send_message(decision: Decision, operation: SendMessage) -> None:
    """Put a message into an agent's mailbox."""
    agent = operation.agent
    decision.allow(f"agent:message:{agent}")
    known = decision.agent(agent, "work")
    if len(known.mailbox) >= MAX_MAILBOX_MESSAGES:
        raise refuse(
            "limit_exceeded",
            f"The mailbox of agent {agent} is full: {MAX_MAILBOX_MESSAGES} messages wait.",
            details={"agent": agent, "limit": MAX_MAILBOX_MESSAGES},
        )
    subject = decision.claims.subject
    sender = decision.state.agent(AgentId(subject))
    cause = known.cause if sender is None else sender.cause
    sent = MessageSent(decision.ids.entity(), subject, operation.body)
    decision.record_for(agent, sent, cause)


def reserve_budget(decision: Decision, operation: ReserveBudget) -> None:
    """Set an amount aside for an agent."""
    agent = operation.agent
    decision.allow(f"agent:act:{agent}")
    known = decision.agent(agent, "start")
    if len(known.reservations) >= MAX_OPEN_RESERVATIONS:
        raise refuse(
            "limit_exceeded",
            f"Agent {agent} has {MAX_OPEN_RESERVATIONS} reservations open, the most that are kept.",
            details={"agent": agent, "limit": MAX_OPEN_RESERVATIONS},
        )
    amounts = operation.amounts
    require_amounts(amounts)
    agents = decision.family(agent).agents
    decision.check_affordable(agents, agent, triple(amounts), "the reservation")
    decision.record_for(agent, BudgetReserved(decision.ids.entity(), amounts), known.cause)


def settle_budget(decision: Decision, operation: SettleBudget) -> None:
    """Spend from a reservation and return the rest."""
    known = decision.state.reservations.get(operation.reservation)
    if known is None:
        raise refuse(
            "unknown_reservation",
            f"Reservation {operation.reservation[:60]} is not open: it was never made, was settled,"
            " or its agent has ended.",
            details={"reservation": operation.reservation[:60]},
        )
    decision.allow(f"agent:act:{known.agent}")
    require_amounts(operation.spent)
    aside, spent = triple(known.amounts), triple(operation.spent)
    overdrawn = any(used > had for used, had in zip(spent, aside, strict=True))
    settled = BudgetSettled(operation.reservation, operation.spent, overdrawn)
    decision.record_for(known.agent, settled, known.event)


def open_host(decision: Decision, operation: OpenHost) -> None:
    """Begin a new epoch of the log, in which no earlier lease is good."""
    decision.allow(f"runtime:host:{decision.claims.vault}")
    require_text(operation.holder, "The holder's name", MAX_HOLDER_BYTES)
    host = decision.state.host
    parents = () if host.event is None else (host.event,)
    decision.record(HOSTS, HOSTS, HostOpened(operation.holder, host.epoch + 1), parents)
