"""Accounts of a family and of tokens, changed together so that the law of `_account` always holds.

What an agent draws counts against its parent's account and against those of its payers: the tokens
under which it was spawned. What is done in a step or reservation counts besides against the
accounts of the token that it is done under, except those that pay for the agent anyhow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from toka.kernel._account import (
    ZERO,
    Account,
    TokenAccount,
    Triple,
    add,
    negative,
    resource_name,
    triple,
)
from toka.kernel._copying import evolve
from toka.kernel._rejection import refuse
from toka.types import MAX_TOKEN_LIFETIME_SECONDS, Budget, parent_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from toka.kernel._state import AgentState
    from toka.kernel._system_facts import TokenAdmitted
    from toka.kernel._tables import Table
    from toka.types import AgentId

    Agents = Table[AgentId, AgentState]
    TokenAccounts = Table[str, TokenAccount]


@attrs.frozen
class Books:
    """The accounts of one family, and those of all tokens."""

    agents: Agents
    tokens: TokenAccounts


def open_accounts(tokens: TokenAccounts, admitted: TokenAdmitted) -> TokenAccounts:
    """Open the accounts that a token draws on; one that is open goes on as it is.

    Raises:
        Refusal: A link has an account already, with another limit.
    """
    # A link does not say when it ends. No token lives longer than this from the root's issue, and
    # an account that was closed too early could be spent twice.
    until = max(admitted.expires_at, admitted.issued_at + MAX_TOKEN_LIFETIME_SECONDS)
    for link in admitted.accounts:
        limit = Budget(**dict(link.budget))
        known = tokens.get(link.token)
        if known is None:
            known = TokenAccount(link.subject, Account(limit), until)
        elif known.account.limit != limit:
            raise refuse(
                "token_conflict",
                f"Token {link.token} stated another budget when it was used first. A token's"
                " identifier is used once.",
                details={"token": link.token, "subject": link.subject},
            )
        tokens = tokens.insert(link.token, evolve(known, until=max(known.until, until)))
    return tokens


def paying(links: Iterable[str], agents: Agents, agent: AgentId | None) -> tuple[str, ...]:
    """Return the accounts among `links`, each once, that do not pay for `agent` anyhow."""
    found = list(dict.fromkeys(links))
    while found and agent is not None:
        known = agents.get(agent)
        covered = () if known is None else known.payers
        found = [link for link in found if link not in covered]
        agent = parent_of(agent)
    return tuple(found)


def check_affordable(
    books: Books,
    agent: AgentId | None,
    wanted: Triple,
    purpose: str,
    payers: tuple[str, ...] = (),
) -> None:
    """Refuse if an account that would pay has less than `wanted` of a resource."""
    needed = {index for index, amount in enumerate(wanted) if amount}
    if not needed:
        return
    _check_payers(books, payers, needed, wanted, purpose)
    while agent is not None and needed:
        known = books.agents[agent]
        left = known.account.available
        limited = {index for index in needed if left[index] is not None}
        for index in sorted(limited):
            _check_left(left[index], wanted, index, f"Agent {agent}", {"agent": agent}, purpose)
        needed -= limited
        _check_payers(books, known.payers, needed, wanted, purpose)
        agent = parent_of(agent)


def _check_payers(
    books: Books, payers: tuple[str, ...], needed: set[int], wanted: Triple, purpose: str
) -> None:
    for payer in payers:
        known = books.tokens.get(payer)
        if known is None:
            continue
        left = known.account.available
        who, details = f"The token of {known.subject}", {"token": payer, "subject": known.subject}
        for index in sorted(needed):
            _check_left(left[index], wanted, index, who, details, purpose)


def _check_left(
    left: int | None, wanted: Triple, index: int, who: str, details: dict[str, str], purpose: str
) -> None:
    if left is None or left >= wanted[index]:
        return
    resource = resource_name(index)
    raise refuse(
        "budget_exhausted",
        f"{who} has {max(left, 0)} of {resource} left, and {purpose} takes {wanted[index]}.",
        details={**details, "resource": resource, "available": left, "wanted": wanted[index]},
    )


def book(
    books: Books, agent: AgentId, reserved: Triple, spent: Triple, payers: tuple[str, ...]
) -> Books:
    """Change what is set aside and spent: by an agent, its parents, and all who pay for it."""
    known = books.agents[agent]
    account = known.account.book(reserved, spent, ZERO)
    agents = books.agents.insert(agent, evolve(known, account=account))
    tokens = charge(books.tokens, payers, reserved, spent)
    drawn = account.passed_on(add(reserved, spent))
    return draw(Books(agents, tokens), parent_of(agent), known.payers, drawn)


def draw(books: Books, parent: AgentId | None, payers: tuple[str, ...], amounts: Triple) -> Books:
    """Change what an agent draws on its parent's account, and on those of its payers."""
    agents, tokens = books.agents, books.tokens
    while amounts != ZERO:
        if payers:
            tokens = charge(tokens, payers, ZERO, ZERO, amounts)
        if parent is None:
            break
        known = agents[parent]
        account = known.account.book(ZERO, ZERO, amounts)
        agents = agents.insert(parent, evolve(known, account=account))
        parent, payers, amounts = parent_of(parent), known.payers, account.passed_on(amounts)
    return Books(agents, tokens)


def charge(
    tokens: TokenAccounts,
    payers: tuple[str, ...],
    reserved: Triple,
    spent: Triple,
    granted: Triple = ZERO,
) -> TokenAccounts:
    """Change each of the accounts that is still open by that much."""
    for payer in payers:
        known = tokens.get(payer)
        if known is not None:
            account = known.account.book(reserved, spent, granted)
            tokens = tokens.insert(payer, evolve(known, account=account))
    return tokens


def count_agent(tokens: TokenAccounts, payers: tuple[str, ...], change: int) -> TokenAccounts:
    """Note that an agent draws on the accounts, or is gone."""
    for payer in payers:
        known = tokens.get(payer)
        if known is not None:
            tokens = tokens.insert(payer, evolve(known, agents=known.agents + change))
    return tokens


def close(books: Books, agent: AgentId) -> Books:
    """Give an ending agent's account back to those who pay; it stays itself, to be read.

    What the agent had set aside is available again, what it has spent they have spent, and what it
    was granted and did not use they can use again.
    """
    aside = negative(triple(books.agents[agent].account.reserved))
    books = book(books, agent, aside, ZERO, ())
    known = books.agents[agent]
    spent, drawn = triple(known.account.spent), negative(known.account.drawn)
    books = Books(books.agents, charge(books.tokens, known.payers, ZERO, spent, drawn))
    parent = parent_of(agent)
    if parent is None:
        return books
    above = books.agents[parent]
    account = above.account.book(ZERO, spent, drawn)
    agents = books.agents.insert(parent, evolve(above, account=account))
    change = account.passed_on(add(spent, drawn))
    return draw(Books(agents, books.tokens), parent_of(parent), above.payers, change)
