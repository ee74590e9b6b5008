"""What the log is shown as: pages of events, and why one of them happened."""

from typing import Literal

import attrs
import msgspec

from toka.orchestration_service._shapes import Event, Spent, Time
from toka.orchestration_service._shapes_agents import Token
from toka.orchestration_service._shapes_runs import SpanKind


@attrs.frozen
class EventPage:
    """Some events of the log, in the order that was asked for."""

    events: tuple[Event, ...]
    next: str | None
    """What to give as `after` for more; null where the log ends in that direction."""
    scanned: int
    """Events that were looked at. A search looks at some thousands and then says how to go on."""
    position: int
    """Where the log ended when it was read."""


@attrs.frozen
class Cause:
    """An event that had a part in another."""

    position: int
    event: str
    kind: str
    stream: str
    time: Time
    actor: str
    token: str


@attrs.frozen
class Allowance:
    """A permission that an effect needed."""

    needed: str
    granting: str
    """The one of its token that covers it; empty where a person's approval stood in."""


@attrs.frozen
class Why:
    """The chain of causes and capabilities behind an event."""

    causes: tuple[Cause, ...]
    """Newest first."""
    hidden: int
    """Causes that the caller's token does not let it see."""
    allowances: tuple[Allowance, ...]
    tokens: tuple[Token, ...]


@attrs.frozen
class Explanation:
    """An event, and why it happened."""

    event: Event
    why: Why


@attrs.frozen
class StepFailure:
    """Why a step failed."""

    code: str
    message: str


@attrs.frozen
class CopiedFrom:
    """Where a copied outcome was first made."""

    event: str
    """That has the outcome."""
    run: str
    agent: str
    ended: Time
    """When it was made."""
    actor: str
    token: str
    """Under which it was made."""
    copied: str
    """The event that it was taken over from: this one's cause. The same, or a copy of it."""


@attrs.frozen
class StepDetail:
    """All that the log has of a step."""

    step: str
    """The event that began it."""
    event: str
    """Its newest event."""
    run: str
    agent: str
    task: str
    attempt: int
    """Of the task."""
    path: str
    ordinal: int
    name: str
    kind: SpanKind
    effect: str
    state: Literal["running", "completed", "failed"]
    began: Time
    ended: Time | None
    tries: int
    """How often the effect was tried; 0 while that is not known."""
    arguments: msgspec.Raw | None
    """Null if they are longer than 65,536 bytes; the events have them."""
    arguments_bytes: int
    result: msgspec.Raw | None
    """Null if there is none, or if it is longer than 65,536 bytes."""
    result_bytes: int | None
    failure: StepFailure | None
    spent: Spent
    taint: tuple[str, ...]
    requires: tuple[str, ...]
    approval: str | None
    """The approval that it used up."""
    idempotency_key: str
    """What its effect was given, to be told from a repetition; empty where it had none."""
    copied_from: CopiedFrom | None
    """An earlier run's step whose outcome stands for this one's, which was not done."""
    run_ended: bool
    """Whether its run has ended, and can be retried from it."""
    why: Why
