"""Handlers of the log as pages, forwards or backwards, and of why one event happened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from toka.orchestration_service._errors import MalformedRequest, NotFound
from toka.orchestration_service._render import render_event
from toka.orchestration_service._shapes import moment
from toka.orchestration_service._shapes_events import (
    Allowance,
    Cause,
    EventPage,
    Explanation,
    Why,
)
from toka.orchestration_service._tokens import render_token
from toka.orchestration_service._window import Window, read_window
from toka.runtime import explain, find_event
from toka.types import AgentId, EntityId, InvalidValueError, check_entity_id, root_of

if TYPE_CHECKING:
    from toka.orchestration_service._call import Call
    from toka.runtime import Explanation as Told
    from toka.runtime import Logged
    from toka.store.core import Event

MAX_TEXT: Final = 200
"""Characters of a text that is searched for."""


async def list_events(call: Call) -> EventPage:
    """Return a page of the log, or of what a filter leaves of it.

    Raises:
        Forbidden: The token does not cover the events.
        MalformedRequest: A parameter is no good.
    """
    run, agent = _run(call), call.text("agent")
    text = call.text("text").casefold()
    if len(text) > MAX_TEXT:
        raise MalformedRequest(f"A text that is searched for has at most {MAX_TEXT} characters.")
    unwanted = tuple(f"{kind.removesuffix('.')}." for kind in call.texts("without"))
    window = await read_window(
        call.service.runtime,
        Window(
            limit=call.page_size(),
            cursor=call.number("after", 0, 2**53),
            backward=call.choice("order", ("newest", "oldest")) == "newest",
            intent=run,
            stream=AgentId(agent) if agent else None,
            kinds=_kinds(call),
        ),
        sees=lambda stored: (
            not f"{stored.kind}.".startswith(unwanted) and (not text or text in _text_of(stored))
        ),
    )
    events = tuple(render_event(logged) for logged in window.events)
    return EventPage(events, window.next, window.scanned, window.reached)


def _kinds(call: Call) -> tuple[str, ...]:
    """Return kinds as a query has them: whole, or prefixes with a dot at their end."""
    given = call.texts("kind")
    return tuple(each for kind in given for each in _both(kind))


def _both(kind: str) -> tuple[str, ...]:
    return (kind,) if kind.endswith(".") else (kind, f"{kind}.")


def _run(call: Call) -> EntityId | None:
    """Return the run whose events are wanted, if the token covers them; None for any run's."""
    run, agent = call.text("run"), call.text("agent")
    owner = root_of(AgentId(agent)) if agent else run
    try:
        checked = check_entity_id(owner) if owner else None
    except InvalidValueError as error:
        raise MalformedRequest(f"{owner[:40]!r} names no run.") from error
    if run and run != owner:
        raise MalformedRequest("The agent is not one of the run.")
    call.require(f"event:read:{agent or run}/**" if checked else "event:read:**")
    return checked


def _text_of(event: Event) -> str:
    parts = (event.kind, event.stream, event.actor, event.id, event.token)
    return "\n".join((*parts, event.payload.decode(errors="replace"))).casefold()


async def get_explanation(call: Call) -> Explanation:
    """Return an event with the chain of causes and capabilities behind it.

    Raises:
        NotFound: There is none, or the token does not cover it.
    """
    told = await told_of(call, await event_of(call))
    return Explanation(render_event(told.event), render_why(call, told))


async def event_of(call: Call) -> Event:
    """Return the event that the path names.

    Raises:
        NotFound: There is none, or the token does not cover it: the answer is the same.
    """
    runtime, name = call.service.runtime, call.parameters["event"]
    found = await find_event(runtime.store, name)
    if found is None or found.position > runtime.position or not may_read(call, found.stream):
        raise NotFound(
            f"There is no event {name} that this token may read.",
            hint="GET /v1/log has those that it may.",
        )
    if found.compacted:
        raise NotFound(f"What event {name} said was dropped when the log was compacted.")
    return found


async def told_of(call: Call, event: Event) -> Told:
    """Return why an event happened."""
    runtime = call.service.runtime
    return await explain(runtime.store, event, known=runtime.state.tokens)


def may_read(call: Call, stream: str) -> bool:
    """Say whether the caller may read a stream's events: those below an agent, or its own."""
    return call.covers(f"event:read:{stream}/**") or call.covers(f"event:read:{stream}")


def render_why(call: Call, told: Told) -> Why:
    """Return an explanation, without what the caller may not see."""
    # What a step was copied from is a cause, and may be older than the oldest of these.
    every = {cause.event.id: cause for cause in (*told.causes, *told.copied_from)}.values()
    causes = [cause for cause in every if may_read(call, cause.event.stream)]
    shown = {each.event.token for each in (told.event, *causes)}
    return Why(
        causes=tuple(_render_cause(cause) for cause in causes),
        hidden=len(every) - len(causes),
        allowances=tuple(
            Allowance(each.needed, each.granting) for each in told.allowed_by(told.event.event)
        ),
        tokens=tuple(render_token(body) for token, body in told.tokens.items() if token in shown),
    )


def _render_cause(logged: Logged) -> Cause:
    event = logged.event
    return Cause(
        logged.position,
        event.id,
        event.body.kind,
        event.stream,
        moment(event.time),
        event.actor,
        event.token,
    )
