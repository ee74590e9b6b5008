"""Accounts of a family, changed together so that the law of `_account` holds at every state."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from toka.kernel._account import (
    ZERO,
    Triple,
    add,
    negative,
    resource_name,
    triple,
)
from toka.kernel._rejection import refuse
from toka.types import parent_of

if TYPE_CHECKING:
    from toka.kernel._state import AgentState
    from toka.kernel._tables import Table
    from toka.types import AgentId

    Agents = Table[AgentId, AgentState]


def check_affordable(agents: Agents, agent: AgentId, wanted: Triple, purpose: str) -> None:
    """Refuse if the account that would pay has less than `wanted` of a resource."""
    payer: AgentId | None = agent
    open_resources = {index for index, amount in enumerate(wanted) if amount}
    while payer is not None and open_resources:
        account = agents[payer].account
        for index in sorted(open_resources):
            left = account.available[index]
            if left is None:
                continue
            if left < wanted[index]:
                raise refuse(
                    "budget_exhausted",
                    f"Agent {payer} has {max(left, 0)} of {resource_name(index)} left, and"
                    f" {purpose} takes {wanted[index]}.",
                    details={
                        "agent": payer,
                        "resource": resource_name(index),
                        "available": left,
                        "wanted": wanted[index],
                    },
                )
            open_resources.discard(index)
        payer = parent_of(payer)


def book(agents: Agents, agent: AgentId, reserved: Triple, spent: Triple) -> Agents:
    """Change what an agent has set aside and spent, and what its parents granted for it."""
    known = agents[agent]
    account = known.account.book(reserved, spent, ZERO)
    agents = agents.insert(agent, attrs.evolve(known, account=account))
    return grant(agents, parent_of(agent), account.passed_on(add(reserved, spent)))


def grant(agents: Agents, agent: AgentId | None, amounts: Triple) -> Agents:
    """Change what an agent has granted to its children, and what its own parents granted."""
    while agent is not None and amounts != ZERO:
        known = agents[agent]
        account = known.account.book(ZERO, ZERO, amounts)
        agents = agents.insert(agent, attrs.evolve(known, account=account))
        agent, amounts = parent_of(agent), account.passed_on(amounts)
    return agents


def close(agents: Agents, agent: AgentId) -> Agents:
    """Give an ending agent's account back to its parent; the account itself stays to be read.

    What the agent had set aside is available again, what it has spent its parent has spent, and
    what it was granted and did not use the parent can use again.
    """
    known = agents[agent]
    agents = book(agents, agent, negative(triple(known.account.reserved)), ZERO)
    parent = parent_of(agent)
    if parent is None:
        return agents
    ended = agents[agent].account
    above = agents[parent]
    spent, drawn = triple(ended.spent), ended.drawn
    account = above.account.book(ZERO, spent, negative(drawn))
    agents = agents.insert(parent, attrs.evolve(above, account=account))
    return grant(agents, parent_of(parent), account.passed_on(add(spent, negative(drawn))))
