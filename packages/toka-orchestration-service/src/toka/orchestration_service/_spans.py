"""Handlers of a run's steps in time, read from the log a window at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from toka.kernel import (
    ApprovalExpired,
    ApprovalRequested,
    ApprovalResolved,
    StepCompleted,
    StepCopied,
    StepFailed,
    StepRepeated,
    StepStarted,
)
from toka.orchestration_service._errors import MalformedRequest
from toka.orchestration_service._render import render_spent
from toka.orchestration_service._runs import find_run
from toka.orchestration_service._shapes import moment
from toka.orchestration_service._shapes_runs import Span, SpanPage
from toka.orchestration_service._window import Window, read_window, version_at
from toka.runtime import from_store
from toka.types import NOTHING, AgentId, EntityId, TaskId, agent_of, root_of, task_id

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from toka.kernel import Intent, KernelEvent, Toll
    from toka.orchestration import AgentView
    from toka.orchestration_service._call import Call
    from toka.orchestration_service._service import Service
    from toka.orchestration_service._shapes_runs import SpanKind, SpanState
    from toka.runtime import Logged
    from toka.store.core import EventStore
    from toka.types import EventId

KINDS: Final = ("step.", "approval.")
_WAITS: Final = frozenset({"sleep", "receive"})


async def list_spans(call: Call) -> SpanPage:
    """Return steps and questions of a run, by the order of the log.

    Raises:
        NotFound: There is no such run.
        MalformedRequest: A parameter is no good.
    """
    view = await find_run(call)
    agent, task = _narrowed(call, view.run)
    asked = Window(
        intent=EntityId(view.run),
        stream=agent,
        kinds=KINDS,
        cursor=call.number("after", 0, 2**53),
        limit=call.page_size(),
        backward=call.choice("order", ("oldest", "newest")) == "newest",
    )
    if agent is not None and task and agent in view.agents:
        asked = await _around(call.service.runtime.store, asked, view.agents[agent], task)
    window = await read_window(
        call.service.runtime,
        asked,
        takes=lambda logged: not task or _task_of(logged.event) == task,
    )
    in_order = sorted(window.events, key=lambda logged: logged.position)
    spans = await _Spans(call.service).gather(in_order)
    newest_first = sorted(spans, key=lambda span: span.position, reverse=True)
    ordered = newest_first if window.asked.backward else spans
    return SpanPage(tuple(ordered), window.next, window.reached)


def _narrowed(call: Call, run: AgentId) -> tuple[AgentId | None, str]:
    agent, task = call.text("agent"), call.text("task")
    owner = agent_of(TaskId(task)) if task else AgentId(agent)
    if (agent or task) and (str(root_of(owner)) != run or (agent and agent != owner)):
        raise MalformedRequest("The agent, or the task, is not one of this run.")
    return owner or None, task


async def _around(store: EventStore, asked: Window, agent: AgentView, task: str) -> Window:
    """Return the window without what its agent did before and after the task."""
    known = next((each for each in agent.tasks.values() if each.task == task), None)
    if known is None or known.started is None:
        return attrs.evolve(asked, last=0)
    if not known.first:
        # It was put away by a version that did not note it.
        return asked
    within = attrs.evolve(asked, first=known.first, last=known.last)
    if asked.cursor:
        return within
    if asked.backward:
        return attrs.evolve(within, cursor=await version_at(store, agent.agent, known.last + 1))
    return attrs.evolve(within, cursor=await version_at(store, agent.agent, known.first) - 1)


def _task_of(event: KernelEvent) -> str:
    number = getattr(event.body, "task", None)
    return task_id(AgentId(event.stream), number) if isinstance(number, int) else ""


_ASKS: Final = "model:call:"
"""What a permission to ask a model begins with."""


class _Spans:
    """Pairs ends with beginnings, in the window or, where they lie before it, in the log."""

    def __init__(self, service: Service) -> None:
        self._store = service.runtime.store
        self._tools = frozenset(service.orchestrator.tools.names())
        self._spans: dict[str, Span] = {}
        self._aliases: dict[str, str] = {}

    async def gather(self, window: Iterable[Logged]) -> list[Span]:
        for logged in window:
            await self._take(logged)
        return list(self._spans.values())

    async def _take(self, logged: Logged) -> None:
        event = logged.event
        match event.body:
            case StepStarted() as body:
                self._keep(event.id, self._begun(logged, body.intent, event.time))
            case StepRepeated():
                await self._beginning(event)
                self._aliases[event.id] = self._aliases.get(event.parents[0], event.parents[0])
            case StepCompleted() | StepFailed() as body:
                await self._ended(logged, body)
            case StepCopied() as body:
                self._keep(event.id, self._copied(logged, body))
            case ApprovalRequested() as body:
                self._keep(event.id, _asked(logged, body))
            case ApprovalResolved() | ApprovalExpired() as body:
                await self._answered(logged, body)
            case _:
                pass

    def _begun(self, logged: Logged, intent: Intent, began: int) -> Span:
        span = _span(logged, kind_of(intent.name, self._tools), intent.name, began)
        return attrs.evolve(span, model=_model_of(intent))

    def _copied(self, logged: Logged, body: StepCopied) -> Span:
        span = _span(logged, kind_of(body.name, self._tools), body.name, logged.event.time)
        return attrs.evolve(
            span,
            state="failed" if body.failed else "completed",
            ended=span.began,
            tainted=bool(body.taint),
            copied=True,
        )

    def _keep(self, span: str, what: Span) -> None:
        # One whose beginning lay behind the window's edge moves to its end.
        self._spans.pop(span, None)
        self._spans[span] = what

    async def _ended(self, logged: Logged, body: StepCompleted | StepFailed) -> None:
        event = logged.event
        if body.intent is not None:
            span = self._begun(logged, body.intent, body.started)
        else:
            found = await self._beginning(event)
            if found is None:
                return
            span = found
        self._keep(span.span, _with_end(span, logged, body))

    async def _answered(self, logged: Logged, body: ApprovalResolved | ApprovalExpired) -> None:
        span = await self._beginning(logged.event)
        if span is not None:
            decided: SpanState = "approved" if body.decision == "approve" else "denied"
            ended = attrs.evolve(
                span,
                state=decided,
                ended=moment(logged.event.time),
                event=logged.event.id,
                position=logged.position,
            )
            self._keep(span.span, ended)

    async def _beginning(self, event: KernelEvent) -> Span | None:
        """Return the span that an event goes on with: its first cause is what came before."""
        earlier: EventId = event.parents[0]
        while True:
            known = self._spans.get(self._aliases.get(earlier, earlier))
            if known is not None:
                return known
            stored = await self._store.get(earlier)
            if stored is None or stored.compacted:
                return None
            logged = from_store(stored)
            if not isinstance(logged.event.body, StepRepeated):
                await self._take(logged)
                return self._spans.get(earlier)
            earlier = logged.event.parents[0]


def _span(logged: Logged, kind: SpanKind, name: str, began: int) -> Span:
    event = logged.event
    return Span(
        span=event.id,
        kind=kind,
        agent=event.stream,
        task=_task_of(event),
        path=getattr(event.body, "path", ""),
        ordinal=getattr(event.body, "ordinal", 0),
        name=name,
        state="running",
        began=moment(began),
        ended=None,
        attempts=0,
        event=event.id,
        position=logged.position,
        spent=render_spent(NOTHING),
        tainted=False,
        reason="",
        model="",
        copied=False,
    )


def _model_of(intent: Intent) -> str:
    """Return which model a step asks: what it needs says so before there is any answer."""
    requires = intent.terms.requires if intent.terms and intent.name == "model" else ()
    asked = (each.removeprefix(_ASKS) for each in requires if each.startswith(_ASKS))
    return next(asked, "")


def _with_end(span: Span, logged: Logged, body: StepCompleted | StepFailed) -> Span:
    toll: Toll | None = body.toll
    return attrs.evolve(
        span,
        state="failed" if isinstance(body, StepFailed) else "completed",
        ended=moment(logged.event.time),
        attempts=1 if toll is None else toll.attempts,
        event=logged.event.id,
        position=logged.position,
        spent=render_spent(NOTHING if toll is None else toll.spent),
        tainted=bool(toll and toll.taint),
        reason=body.failure.message if isinstance(body, StepFailed) else "",
    )


def _asked(logged: Logged, body: ApprovalRequested) -> Span:
    event = logged.event
    span = _span(logged, "approval", body.name, event.time)
    return attrs.evolve(span, attempts=1, reason=body.question)


def kind_of(name: str, tools: Collection[str]) -> SpanKind:
    """Return what a step is, by its name: the log does not say it otherwise."""
    if name == "model":
        return "model"
    if name in _WAITS:
        return "wait"
    return "tool" if name in tools else "step"
