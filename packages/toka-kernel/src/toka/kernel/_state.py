"""The state: all that the kernel must know to decide, and nothing that only the log needs.

Values are frozen and maps persistent, so an old state stays valid and undoing a commit that failed
is keeping the old reference. A family of agents is one value under its root's identifier: the unit
of the budget law, and what is dropped when the root ends, so memory is bounded by what lives.
"""

from typing import Final, Literal

import attrs
import msgspec

from toka.kernel._account import Account, TokenAccount
from toka.kernel._phases import ENDED, AgentPhase, TaskPhase
from toka.kernel._system_facts import TokenAdmitted
from toka.kernel._tables import EMPTY_TABLE, Table, canonical_bytes
from toka.types import (
    NULL,
    AgentId,
    Amounts,
    EntityId,
    EventId,
    SideEffect,
    TaskId,
    TaskSpec,
    agent_of,
    digest,
    is_entity_id,
    root_of,
)

FIRST_SWEEP: Final = 64
"""Admitted tokens at which expired ones are looked for the first time."""


def is_agent(subject: str) -> bool:
    """Say whether a subject's name is an agent's path: a person is hardly called like one."""
    return is_entity_id(root_of(AgentId(subject)))


@attrs.frozen
class Mail:
    """A message that waits; its body is in the event."""

    number: int
    """Its place in the order of arrival."""
    sender: str
    event: EventId


@attrs.frozen
class AgentState:
    """What the kernel knows of an agent."""

    name: str
    phase: AgentPhase
    since: int
    """When its life last changed: spawned, suspended, resumed, restarted or ended."""
    cause: EventId
    """The event of that change."""
    permissions: tuple[str, ...]
    untainted: tuple[str, ...]
    account: Account
    next_task: int = 0
    queued: int = 0
    running: int = 0
    asking: int = 0
    """Running tasks that wait for an approval."""
    failed: int = 0
    """Tasks that a restart would revive."""
    children: int = 0
    """Children that live."""
    tainted: bool = False
    """One of its tasks has read something from outside; a restart does not make that unread."""
    reservations: tuple[EntityId, ...] = ()
    mailbox: Table[str, Mail] = EMPTY_TABLE
    next_mail: int = 0
    payers: tuple[str, ...] = ()
    """Accounts of tokens that pay for what it draws, beside its parent's account."""
    copies_from: AgentId | None = None
    """Of a root: the root whose steps' outcomes its family may take over."""

    @property
    def ended(self) -> bool:
        """Whether its life is over."""
        return self.phase in ENDED


@attrs.frozen
class PathState:
    """How far a path of a task has come."""

    next: int
    last: EventId


@attrs.frozen
class StartedStep:
    """A step that was started and has no outcome yet. Arguments are kept as their digest."""

    ordinal: int
    fence: int
    event: EventId
    time: int
    name: str
    effect: SideEffect
    arguments: bytes
    requires: tuple[str, ...]
    approval: EntityId | None
    message: EntityId | None
    estimate: Amounts
    payers: tuple[str, ...] = ()
    """Accounts of tokens that pay for it, beside its agent's account."""


@attrs.frozen
class Lease:
    """Who runs a task, and until when others respect it."""

    holder: str
    expires: int
    epoch: int


@attrs.frozen
class TaskState:
    """What the kernel knows of a task that has not ended for good."""

    spec: TaskSpec
    phase: TaskPhase
    attempt: int
    not_before: int
    fence: int
    lease: Lease | None
    cause: EventId
    """The event that scheduled, started, released, retried or revived it last."""
    last: EventId
    """The newest event of the task."""
    paths: Table[str, PathState] = EMPTY_TABLE
    started: Table[str, StartedStep] = EMPTY_TABLE
    taint: tuple[str, ...] = ()
    approvals: tuple[EntityId, ...] = ()
    asking: int = 0
    """Approvals that nobody has answered."""


@attrs.frozen
class Family:
    """A root agent and all below it."""

    agents: Table[AgentId, AgentState] = EMPTY_TABLE
    tasks: Table[TaskId, TaskState] = EMPTY_TABLE


@attrs.frozen
class Inquiry:
    """What a request asks besides yes or no, and what came of it."""

    form: msgspec.Raw
    answer: msgspec.Raw = NULL
    by: str = ""
    """Who decided; empty while nobody has, and where the time ran out."""
    reason: str = ""


@attrs.frozen
class ApprovalState:
    """A request for a person's answer, and the answer while it is unused."""

    task: TaskId
    asked_by: str
    name: str
    arguments: bytes
    question: str
    expires: int | None
    """None once the stated outcome has applied: that answer does not expire again."""
    on_expiry: Literal["approve", "deny"]
    answer: Literal["approve", "deny"] | None
    event: EventId
    """The newest event of the approval."""
    inquiry: Inquiry | msgspec.UnsetType = msgspec.UNSET
    """Unset where yes or no is all, and then left out of the canonical form."""


@attrs.frozen
class Reservation:
    """An amount set aside outside a step."""

    agent: AgentId
    amounts: Amounts
    event: EventId
    payers: tuple[str, ...] = ()


@attrs.frozen
class Host:
    """Who hosts the log; the epoch counts the openings."""

    epoch: int = 0
    holder: str = ""
    event: EventId | None = None


NO_HOST: Final = Host()
"""Before the log was opened first."""


@attrs.frozen
class KernelState:
    """Everything, at one position of the log."""

    families: Table[EntityId, Family] = EMPTY_TABLE
    approvals: Table[EntityId, ApprovalState] = EMPTY_TABLE
    reservations: Table[EntityId, Reservation] = EMPTY_TABLE
    tokens: Table[str, TokenAdmitted] = EMPTY_TABLE
    sweep: int = FIRST_SWEEP
    """Admitted tokens at which expired ones are dropped next."""
    host: Host = NO_HOST
    extensions: Table[str, Table[str, msgspec.Raw]] = EMPTY_TABLE
    accounts: Table[str, TokenAccount] = EMPTY_TABLE
    """By the name of a token, or of a link of a chain: what it may spend."""

    def agent(self, agent: AgentId) -> AgentState | None:
        """Return an agent of a family that has not ended, or None."""
        family = self.families.get(root_of(agent))
        return None if family is None else family.agents.get(agent)

    def task(self, task: TaskId) -> TaskState | None:
        """Return a task that has not ended for good, or None."""
        family = self.families.get(root_of(agent_of(task)))
        return None if family is None else family.tasks.get(task)

    def agents(self) -> dict[AgentId, AgentState]:
        """Return every agent by its path, in the order of paths."""
        found = [pair for family in self.families.values() for pair in family.agents.items()]
        return dict(sorted(found, key=lambda pair: pair[0]))

    def tasks(self, agent: AgentId) -> dict[TaskId, TaskState]:
        """Return an agent's tasks that have not ended for good, oldest first."""
        family = self.families.get(root_of(agent))
        if family is None:
            return {}
        found = [pair for pair in family.tasks.items() if agent_of(pair[0]) == agent]
        return dict(sorted(found, key=lambda pair: int(pair[0].rpartition("#")[2])))

    def mailbox(self, agent: AgentId) -> dict[EntityId, Mail]:
        """Return an agent's waiting messages in the order of their arrival."""
        known = self.agent(agent)
        mails = (
            () if known is None else sorted(known.mailbox.items(), key=lambda pair: pair[1].number)
        )
        return {EntityId(message): mail for message, mail in mails}

    def digest(self) -> bytes:
        """Return the BLAKE3 digest of the state's canonical form; equal states, equal digests."""
        return digest(canonical_bytes(self))


EMPTY_STATE: Final = KernelState()
"""Before the first event."""
