"""One decision: what it may look at, the checks that many operations share, and what it records.

A check that fails raises a `Refusal`, which `Kernel.decide` turns into the rejection that the
caller gets. Permission is checked before anything else is looked at, so that a refusal tells a
caller without permission nothing about what exists.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from toka.capability.core import Permission, PermissionSyntaxError
from toka.kernel._account import slice_of
from toka.kernel._event import KernelEvent
from toka.kernel._ledger import Books, check_affordable, paying
from toka.kernel._limits import MAX_AMOUNT, MAX_FAILURE_MESSAGE_BYTES, MAX_STEP_NAME_BYTES
from toka.kernel._phases import AGENT_TRANSITIONS, TASK_TRANSITIONS
from toka.kernel._rejection import Refusal, refuse
from toka.types import (
    MAX_OBSERVATION_BYTES,
    AgentId,
    InvalidValueError,
    agent_of,
    check_size,
    check_text,
    parent_of,
    root_of,
    task_id,
)

if TYPE_CHECKING:
    from msgspec import Raw

    from toka.capability.core import Claims, PermissionSet
    from toka.kernel._account import Triple
    from toka.kernel._event import Ids
    from toka.kernel._facts import Body
    from toka.kernel._ledger import Agents, TokenAccounts
    from toka.kernel._phases import AgentTrigger, TaskTrigger
    from toka.kernel._state import AgentState, Family, KernelState, TaskState
    from toka.types import Amounts, Budget, EventId, Failure, TaskId

TOKENS: Final = "tokens"
HOSTS: Final = "hosts"
NO_CAUSES: Final[tuple[EventId, ...]] = ()


@attrs.define
class Decision:
    """The arguments of `Kernel.decide`, and the events decided so far."""

    state: KernelState
    claims: Claims
    now: int
    ids: Ids
    events: list[KernelEvent] = attrs.field(factory=list[KernelEvent])
    accounts: TokenAccounts = attrs.field(init=False)
    """The accounts of tokens as they will be once the caller's token is admitted."""

    def __attrs_post_init__(self) -> None:
        self.accounts = self.state.accounts

    def record(self, stream: str, intent: str, body: Body, parents: tuple[EventId, ...]) -> EventId:
        """Decide an event and return its identifier."""
        identifier = self.ids.event()
        claims = self.claims
        self.events.append(
            KernelEvent(
                identifier,
                stream,
                body,
                self.now,
                parents,
                intent,
                claims.subject,
                claims.token_id,
            )
        )
        return identifier

    def record_for(self, agent: AgentId, body: Body, *parents: EventId) -> EventId:
        """Decide an event in an agent's stream."""
        return self.record(agent, root_of(agent), body, parents)

    # Permission

    def allow(self, request: str) -> None:
        """Refuse unless the caller may do `request`."""
        claims = self.claims
        if _covers(claims.granted, request):
            return
        if not _covers(claims.guarded, request):
            raise denied(request, claims.subject)
        if self.caller_tainted:
            raise tainted(request, f"agent {claims.subject}", ())

    def allow_all(self, pattern: str) -> None:
        """Refuse unless one permission of the caller's covers everything that `pattern` stands for.

        The pattern is one that this version makes, of identifiers that were checked.
        """
        claims, wanted = self.claims, Permission.parse(pattern)
        if claims.granted.covers(wanted) is not None:
            return
        if claims.guarded.covers(wanted) is None:
            raise denied(pattern, claims.subject)
        if self.caller_tainted:
            raise tainted(pattern, f"agent {claims.subject}", ())

    @property
    def caller_tainted(self) -> bool:
        """Whether the caller is an agent that has read from outside."""
        caller = self.state.agent(AgentId(self.claims.subject))
        return caller is not None and caller.tainted

    def allow_step(self, request: str, task: TaskState, *, approved: bool) -> None:
        """Refuse unless the caller may do `request` in a step of `task`."""
        claims = self.claims
        if _covers(claims.granted, request):
            return
        if not _covers(claims.guarded, request):
            raise denied(request, claims.subject)
        if task.taint and not approved:
            raise tainted(request, "the task", task.taint)

    # Who pays

    def check_affordable(
        self, agents: Agents, agent: AgentId, wanted: Triple, purpose: str
    ) -> None:
        """Refuse unless the agent, and the caller's token with its chain, can pay."""
        books = Books(agents, self.accounts)
        payers = paying(self._links(), agents, agent) if self.claims.budget else ()
        check_affordable(books, agent, wanted, purpose, payers)

    def check_slice(self, agents: Agents, agent: AgentId, name: str, budget: Budget) -> None:
        """Refuse unless all who would pay for an agent can give it its budget."""
        known, parent = agents.get(agent), parent_of(agent)
        before = () if known is None else known.payers
        payers = paying((*before, *self._links()), agents, parent)
        books, purpose = Books(agents, self.accounts), f"the budget of {name}"
        check_affordable(books, parent, slice_of(budget), purpose, payers)

    def _links(self) -> list[str]:
        """Return the accounts of the caller's token."""
        claims = self.claims
        return [hop.token_id for hop in claims.accounts if hop.budget] if claims.budget else []

    # What exists

    def family(self, agent: AgentId) -> Family:
        """Return the family of an agent, or refuse."""
        family = self.state.families.get(root_of(agent))
        if family is None:
            raise _unknown_agent(agent)
        return family

    def agent(self, agent: AgentId, trigger: AgentTrigger) -> AgentState:
        """Return an agent whose life allows `trigger`, or refuse."""
        return agent_in(self.family(agent), agent, trigger)

    def task(self, task: TaskId, trigger: TaskTrigger) -> TaskState:
        """Return a task that allows `trigger`, or refuse."""
        agent = agent_of(task)
        return task_in(self.family(agent), agent, task, trigger)

    def leased_task(self, task: TaskId, fence: int, trigger: TaskTrigger = "act") -> TaskState:
        """Return a running task whose current lease the caller holds, or refuse."""
        known = self.task(task, trigger)
        check_fence(known, task, fence, self.state.host.epoch)
        return known


def agent_in(family: Family, agent: AgentId, trigger: AgentTrigger) -> AgentState:
    """Return an agent of the family whose life allows `trigger`, or refuse."""
    known = family.agents.get(agent)
    if known is None:
        raise _unknown_agent(agent)
    if trigger not in AGENT_TRANSITIONS[known.phase]:
        raise refuse(
            "wrong_state",
            f"Agent {agent} ({known.name}) is {known.phase}, which does not allow to"
            f" {_TRIGGER_TEXT[trigger]}.",
            details={"agent": agent, "state": known.phase, "asked": trigger},
        )
    return known


def task_in(family: Family, agent: AgentId, task: TaskId, trigger: TaskTrigger) -> TaskState:
    """Return a task of an agent of the family that allows `trigger`, or refuse."""
    known = family.tasks.get(task)
    if known is None:
        raise _missing_task(family, agent, task)
    if trigger not in TASK_TRANSITIONS[known.phase]:
        raise refuse(
            "wrong_state",
            f"Task {task} is {known.phase}, which does not allow to {_TRIGGER_TEXT[trigger]}.",
            details={"task": task, "state": known.phase, "asked": trigger},
        )
    return known


def check_fence(known: TaskState, task: TaskId, fence: int, epoch: int) -> None:
    """Refuse unless `fence` is that of the task's lease, and of this host's time."""
    lease = known.lease
    if lease is None or fence != known.fence or lease.epoch != epoch:
        raise _stale(task, fence, known, epoch)


def denied(request: str, subject: str) -> Refusal:
    """Return the refusal of a request that the caller's permissions do not cover."""
    return refuse(
        "capability_denied",
        f"{subject} needs the permission {request}, which its token does not grant.",
        needed=request,
        details={"subject": subject},
    )


def tainted(request: str, who: str, labels: tuple[str, ...]) -> Refusal:
    """Return the refusal of a request that is granted only while nothing from outside was read."""
    return refuse(
        "tainted",
        f"{request} is granted only while untainted, and {who} has read from outside"
        f"{': ' if labels else ''}{', '.join(labels)}. Ask for an approval of this one call.",
        needed=request,
        details={"taint": list(labels)},
    )


def require_text(text: str, what: str, limit: int) -> None:
    """Refuse a text that is blank or too long."""
    try:
        check_text(text, what, limit)
    except InvalidValueError as error:
        raise refuse("limit_exceeded", str(error)) from error


def require_short(text: str, what: str, limit: int) -> None:
    """Refuse a text that is too long; it may be empty."""
    if text:
        require_text(text, what, limit)


def require_failure(failure: Failure) -> None:
    """Refuse a failure that says nothing, or too much to be kept."""
    require_text(failure.code, "The failure's code", MAX_STEP_NAME_BYTES)
    require_short(failure.message, "The failure's message", MAX_FAILURE_MESSAGE_BYTES)
    require_size(failure.details, "What the failure has for details", MAX_OBSERVATION_BYTES)


def require_size(data: Raw, what: str, limit: int) -> None:
    """Refuse data that are too long."""
    try:
        check_size(data, what, limit)
    except InvalidValueError as error:
        raise refuse("limit_exceeded", str(error)) from error


def require_amounts(amounts: Amounts | Budget) -> None:
    """Refuse amounts whose sums would one day not fit 64 bits."""
    for amount in (amounts.money, amounts.tokens, amounts.calls):
        if amount is not None and amount > MAX_AMOUNT:
            raise refuse("limit_exceeded", f"An amount is at most {MAX_AMOUNT}, not {amount}.")


def task_number(task: TaskId) -> int:
    """Return the number of a task within its agent; call only for tasks that are known."""
    return int(task.rpartition("#")[2])


def _covers(permissions: PermissionSet, request: str) -> bool:
    try:
        return permissions.covers(request) is not None
    except PermissionSyntaxError as error:
        raise refuse(
            "malformed_request", f"A permission cannot be asked for like this: {error}"
        ) from error


def _unknown_agent(agent: AgentId) -> Refusal:
    return refuse(
        "unknown_agent",
        f"No agent {agent[:300]} lives here: it was never spawned, or its family has ended.",
        details={"agent": agent[:300]},
    )


def _missing_task(family: Family, agent: AgentId, task: TaskId) -> Refusal:
    known = family.agents.get(agent)
    if known is None:
        return _unknown_agent(agent)
    number = task.rpartition("#")[2]
    if number.isdecimal() and int(number) < known.next_task and task_id(agent, int(number)) == task:
        return refuse(
            "wrong_state",
            f"Task {task} has ended.",
            details={"task": task, "state": "ended"},
        )
    return refuse(
        "unknown_task", f"Agent {agent} has no task {task[:300]}.", details={"task": task[:300]}
    )


def _stale(task: TaskId, fence: int, known: TaskState, epoch: int) -> Refusal:
    holder = "nobody" if known.lease is None else known.lease.holder
    return refuse(
        "stale_fence",
        f"Fence {fence} of task {task} is void: the task is at fence {known.fence}, last held by"
        f" {holder}. Stop this run of the task.",
        details={
            "task": task,
            "fence": fence,
            "current": known.fence,
            "holder": holder,
            "epoch": epoch,
        },
    )


_TRIGGER_TEXT: Final = {
    "work": "do that",
    "start": "start a task or a step",
    "suspend": "suspend it",
    "resume": "resume it",
    "complete": "complete it",
    "fail": "fail it",
    "terminate": "terminate it",
    "restart": "restart it",
    "act": "work on it",
    "release": "release it",
    "retry": "retry it",
    "end": "end it",
    "cancel": "cancel it",
    "revive": "revive it",
}
