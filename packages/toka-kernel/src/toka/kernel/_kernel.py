"""The kernel: one function that decides, and one that applies what was decided.

    events = kernel.decide(state, operation, claims, now, ids)     or a Rejection
    for event in events: state = kernel.evolve(state, event)       each once, in order

Both are pure. The caller appends the events to the log before it lets anybody see the new state,
and if that fails it keeps the old one: nothing has to be undone. All events of one decision belong
into one atomic append.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from toka.kernel._account import triple
from toka.kernel._changes import unfitting
from toka.kernel._copying import evolve
from toka.kernel._deciders import DECIDERS
from toka.kernel._decision import TOKENS, Decision
from toka.kernel._errors import ReplayError
from toka.kernel._evolvers import EVOLVERS
from toka.kernel._extension import ExtensionFact, ExtensionRegistry
from toka.kernel._ledger import open_accounts
from toka.kernel._rejection import Refusal, Rejection, refuse
from toka.kernel._system_facts import ExtensionRecorded, TokenAdmitted, TokenHop
from toka.kernel._tables import EMPTY_TABLE
from toka.types import (
    MAX_OBSERVATION_BYTES,
    NANOSECONDS,
    EntityId,
    EventId,
    Extension,
    FinishStep,
    InvalidValueError,
    agent_of,
)

if TYPE_CHECKING:
    from toka.capability.core import Claims
    from toka.kernel._event import Ids, KernelEvent
    from toka.kernel._state import KernelState
    from toka.types import AnyOperation, Operation


class Kernel:
    """The rules. It holds no state: the handlers of extensions are part of the rules."""

    def __init__(self, extensions: ExtensionRegistry | None = None) -> None:
        self._extensions = ExtensionRegistry() if extensions is None else extensions

    def decide(
        self, state: KernelState, operation: AnyOperation, claims: Claims, now: int, ids: Ids
    ) -> tuple[KernelEvent, ...] | Rejection:
        """Return the events that `operation` causes, or why it is refused.

        Args:
            state: What has happened.
            operation: What is asked.
            claims: What the caller's token says, already verified.
            now: Nanoseconds since the Unix epoch.
            ids: Where the identifiers of new events and things come from.

        """
        decision = Decision(state, claims, now, ids)
        try:
            self._decide(decision, operation)
        except Refusal as refusal:
            return refusal.rejection
        return tuple(decision.events)

    def authorize(
        self, state: KernelState, operation: AnyOperation, claims: Claims, now: int
    ) -> Rejection | None:
        """Return why `decide` would refuse now, or None; nothing is decided.

        It is for asking before an effect whose start and outcome are recorded together. So a step's
        estimate is held against the budget here even in a `FinishStep`, which as a decision would
        record what has happened however much it cost.
        """
        decision = Decision(state, claims, now, _NO_IDS)
        try:
            self._decide(decision, operation)
            if isinstance(operation, FinishStep):
                _check_estimate(decision, operation)
        except Refusal as refusal:
            return refusal.rejection
        return None

    def _decide(self, decision: Decision, operation: AnyOperation) -> None:
        _admit(decision)
        decider = DECIDERS.get(type(operation))
        if decider is not None:
            decider(decision, cast("Operation", operation))
        elif isinstance(operation, Extension):
            self._extend(decision, operation)
        else:
            raise refuse("unknown_opcode", f"{type(operation).__name__} is not an operation.")

    def _extend(self, decision: Decision, operation: Extension) -> None:
        family = self._extensions.family_of(operation.opcode)
        handler = None if family is None else self._extensions.handler(family)
        if family is None or handler is None:
            raise refuse(
                "unknown_opcode",
                f"No extension decides {operation.opcode[:80]!r}. Registered are:"
                f" {', '.join(self._extensions) or 'none'}.",
                details={"opcode": operation.opcode[:256]},
            )
        decision.allow(operation.target)
        if len(bytes(operation.data)) > MAX_OBSERVATION_BYTES:
            raise refuse(
                "limit_exceeded", f"An operation's data has at most {MAX_OBSERVATION_BYTES} bytes."
            )
        slot = decision.state.extensions.get(family, EMPTY_TABLE)
        answer = handler.decide(slot, operation, decision.claims, decision.now, decision.ids)
        if isinstance(answer, Rejection):
            raise Refusal(answer)
        for fact in answer:
            body = ExtensionRecorded(family, fact.name, fact.data)
            decision.record(f"extensions/{family}", family, body, ())

    def evolve(self, state: KernelState, event: KernelEvent) -> KernelState:
        """Return the state after `event`.

        Raises:
            ReplayError: The event does not fit the state, or the extension that recorded it is not
                registered.

        """
        body = event.body
        evolver = EVOLVERS.get(type(body))
        if evolver is not None:
            try:
                return evolver(state, event, body)
            except (KeyError, InvalidValueError) as error:
                raise unfitting(event) from error
        if isinstance(body, ExtensionRecorded):
            return self._evolve_extension(state, body)
        raise ReplayError(f"A {type(body).__name__} is not the body of an event.")

    def _evolve_extension(self, state: KernelState, body: ExtensionRecorded) -> KernelState:
        handler = self._extensions.handler(body.family)
        if handler is None:
            raise ReplayError(
                f"The log holds {body.name}, and no extension {body.family!r} is registered.",
                hint="Install and register the extension that wrote the log.",
                details={"family": body.family, "name": body.name},
            )
        slot = state.extensions.get(body.family, EMPTY_TABLE)
        slot = handler.evolve(slot, ExtensionFact(body.name, body.data))
        return evolve(state, extensions=state.extensions.insert(body.family, slot))


def _admit(decision: Decision) -> None:
    """Hold the token against what it said when it was first used, or put that on record."""
    claims = decision.claims
    if claims.expires_at * NANOSECONDS <= decision.now:
        raise refuse(
            "token_expired",
            f"The token of {claims.subject} has expired. Ask for another.",
            details={"subject": claims.subject, "expires_at": claims.expires_at},
        )
    known = decision.state.tokens.get(claims.token_id)
    if known is None:
        admission = _admission(claims)
        decision.accounts = open_accounts(decision.accounts, admission)
        decision.record(TOKENS, TOKENS, admission, ())
    elif (
        known.permissions != claims.permissions
        or known.subject != claims.subject
        or known.expires_at != claims.expires_at
        or known.untainted != claims.untainted
        or known.vault != claims.vault
        or known.budget != claims.budget
        or known.issued_at != claims.issued_at
        or known.holder != claims.holder
        or ((known.chain or claims.chain) and known.chain != _links(claims))
    ):
        raise refuse(
            "token_conflict",
            f"Token {claims.token_id} said something else when it was used first. A token's"
            " identifier is used once.",
            details={"token": claims.token_id, "subject": claims.subject},
        )


def _admission(claims: Claims) -> TokenAdmitted:
    return TokenAdmitted(
        claims.token_id,
        claims.subject,
        claims.vault,
        claims.permissions,
        claims.untainted,
        claims.budget,
        claims.issued_at,
        claims.expires_at,
        _links(claims),
        claims.holder,
    )


def _links(claims: Claims) -> tuple[TokenHop, ...]:
    return tuple([TokenHop(hop.token_id, hop.subject, hop.budget) for hop in claims.chain])


def _check_estimate(decision: Decision, operation: FinishStep) -> None:
    step = operation.step
    agent = agent_of(step.task)
    task = decision.task(step.task, "act")
    if step.path not in task.started:
        agents = decision.family(agent).agents
        decision.check_affordable(agents, agent, triple(step.estimate), f"step {step.name}")


class _NoIds:
    """Stands in for identifiers where nothing will be recorded."""

    def event(self) -> EventId:
        return EventId("")

    def entity(self) -> EntityId:
        return EntityId("")


_NO_IDS: Final[Ids] = _NoIds()
