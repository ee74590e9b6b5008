"""What a run looks like from inside: its agents as a graph, its steps in time."""

from typing import Literal, TypeAlias

import attrs

from toka.orchestration_service._shapes import Agent, Spent, Task, Time

SpanKind: TypeAlias = Literal["model", "tool", "wait", "approval", "step"]
"""`tool` and `model` are told by the step's name; `step` is code of the agent's own."""

SpanState: TypeAlias = Literal["running", "completed", "failed", "approved", "denied"]


@attrs.frozen
class Edge:
    """An agent that waits for another."""

    agent: str
    waits_for: str
    optional: bool
    """It goes on if the other fails."""


@attrs.frozen
class Graph:
    """The agents of a run; each one's parent is what its path says, without the last name."""

    run: str
    agents: tuple[Agent, ...]
    edges: tuple[Edge, ...]
    next: str | None


@attrs.frozen
class TaskPage:
    """Some tasks of a run: agent by agent in the order of spawning, each one's by number."""

    tasks: tuple[Task, ...]
    next: str | None


@attrs.frozen
class Span:
    """Something that took time: a step, or a question that waited for a person."""

    span: str
    """The event that began it. A later page may hold it again, with its end."""
    kind: SpanKind
    agent: str
    task: str
    path: str
    """The branch of the task, as in `root/2:files`."""
    ordinal: int
    name: str
    state: SpanState
    began: Time
    ended: Time | None
    attempts: int
    """How often its effect was tried; 0 while that is not known."""
    event: str
    """The newest event of it; `/v1/steps/EVENT` tells all of a step."""
    position: int
    spent: Spent
    tainted: bool
    """It brought in data from outside."""
    reason: str
    """Why it failed, or what was asked."""
    model: str
    """Which model was asked, as `PROVIDER/NAME`; empty if none was, or where that is not known."""
    copied: bool
    """The outcome was taken over from an earlier run; nothing was done."""


@attrs.frozen
class SpanPage:
    """Some spans, in the order of the log."""

    spans: tuple[Span, ...]
    next: str | None
    """What to give as `after` for more; null where the log ends in that direction."""
    position: int
    """Up to where the log was looked at: what to give as `after` for what comes later."""
