"""The table of pages: where each is, what shows it, and what it asks the API for."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import urlencode

import attrs

from toka.orchestration_service._errors import Forbidden
from toka.orchestration_service._route import PATTERNS
from toka.orchestration_service.dashboard._graph import HEIGHT, WIDTH, draw
from toka.orchestration_service.dashboard._timeline import LATE, cut_short, rows_of, scale_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from toka.orchestration_service.dashboard._api import Api

Context: TypeAlias = "dict[str, object]"

RUNS: Final = 50
AGENTS: Final = 48
"""Of a drawing: more than fit on a screen, fewer than a browser draws late."""
TASKS: Final = 25
OWN_TASKS: Final = 50
"""Of one agent, on its own page."""
SPANS: Final = 60
"""Of an opened task: each has a row."""
MARKS: Final = 200
"""Of all tasks: marks in their rows."""
_NO_SPANS: Final[Mapping[str, Any]] = {"spans": [], "next": None}
EVENTS: Final = 50
LOOKS: Final = 5
"""How often the log is asked for one page: each time 2,000 events are looked at, or as many as a
tenth of a second allows, and of those most may be left out."""
_FILTERS: Final = ("text", "kind", "run", "agent", "leases")
_LEASES: Final = "lease"
"""Kinds that say that somebody is still at work, every ten seconds: most of the log of who waits,
and nothing that people look for."""
_RUN_STATES: Final = ("running", "paused", "interrupted", "completed", "failed", "cancelled")
_TASK_STATES: Final = ("running", "asking", "failed")
"""What people look for among many tasks."""
_KINDS: Final = ("agent", "task", "step", "approval", "message", "budget", "token")


@attrs.frozen
class Page:
    """A page."""

    path: str
    template: str
    handler: Callable[[Api], Awaitable[Context]]
    section: str
    """Which entry of the navigation it belongs to."""
    live: str | None = None
    """The events that change it: a query of `/v1/events`, with the path's parts in braces."""

    @property
    def pattern(self) -> str:
        """The path as the router takes it."""
        path = self.path
        for name, pattern in PATTERNS.items():
            path = path.replace(f"{{{name}}}", f"{{{name}:{pattern}}}")
        return path


async def _runs(api: Api) -> Context:
    asked = _asked(api, "after", "state", "text")
    listed = await api.get("/v1/runs", {**asked, "limit": str(RUNS)})
    kept = {name: asked[name] for name in ("state", "text") if asked[name]}
    return {"listed": listed, "asked": asked, "kept": urlencode(kept), "states": _RUN_STATES}


async def _start(api: Api) -> Context:
    return {"asked": _asked(api, "source")}


async def _run(api: Api) -> Context:
    run, asked = api.part("run"), _asked(api, "agents", "state", "tasks", "task", "spans", "even")
    detail = await api.get("/v1/runs/{run}", run=run)
    agents = await api.get(
        "/v1/runs/{run}/graph", {"after": asked["agents"], "limit": str(AGENTS)}, run=run
    )
    tasks = await api.get(
        "/v1/runs/{run}/tasks",
        {"after": asked["tasks"], "state": asked["state"], "limit": str(TASKS)},
        run=run,
    )
    spans = await api.get_if_allowed("/v1/runs/{run}/spans", _spans_asked(asked), run=run)
    return {
        "detail": detail,
        "agents": agents,
        "tasks": tasks,
        "spans": spans,
        "asked": asked,
        "kept": urlencode(
            {name: asked[name] for name in ("state", "tasks", "even") if asked[name]}
        ),
        "states": _TASK_STATES,
        **_drawing(agents),
        **_waterfall(tasks["tasks"], spans or _NO_SPANS, asked),
    }


def _spans_asked(asked: Mapping[str, str]) -> dict[str, str]:
    """Return what to ask for: all that an opened task did in its order, or what was done last."""
    order = {"order": "oldest"} if asked["task"] else {"order": "newest"}
    limit = SPANS if asked["task"] else MARKS
    return {"task": asked["task"], "after": asked["spans"], "limit": str(limit), **order}


def _drawing(agents: Mapping[str, Any]) -> Context:
    by_name = {agent["agent"]: agent for agent in agents["agents"]}
    waits = [(edge["waits_for"], edge["agent"]) for edge in agents["edges"]]
    born = [(agent["parent"], name) for name, agent in by_name.items() if agent["parent"]]
    return {
        "by_name": by_name,
        "drawing": draw(list(by_name), [*waits, *born]),
        "node_width": WIDTH,
        "node_height": HEIGHT,
    }


def _waterfall(
    tasks: list[Mapping[str, Any]], spans: Mapping[str, Any], asked: Mapping[str, str]
) -> Context:
    scale, opened = scale_of(tasks, time.time()), asked["task"]
    if not asked["even"]:
        attempts = [{**each, "began": each["started"]} for t in tasks for each in t["attempts"]]
        scale = cut_short(scale, [*attempts, *spans["spans"]])
    cut = bool(opened and spans["next"])
    rows = rows_of(tasks, spans["spans"], scale, opened=opened, cut=cut)
    return {"rows": rows, "ticks": scale.ticks(), "breaks": scale.breaks(), "late": LATE}


async def _agent(api: Api) -> Context:
    agent = api.part("agent")
    return {
        "detail": await api.get("/v1/agents/{agent}", {"tasks": str(OWN_TASKS)}, agent=agent),
        "mailbox": await api.get_if_allowed("/v1/mailboxes/{agent}", {"limit": "20"}, agent=agent),
        "held": await api.get_if_allowed("/v1/capabilities/{agent}", agent=agent),
        "log": await _log_if_allowed(api, {"agent": agent, "without": _LEASES}, 15),
    }


async def _step(api: Api) -> Context:
    return {"step": await api.get("/v1/steps/{event}", event=api.part("event"))}


async def _explain(api: Api) -> Context:
    return {"explained": await api.get("/v1/explanations/{event}", event=api.part("event"))}


async def _approvals(api: Api) -> Context:
    return {"listed": await api.get("/v1/approvals")}


async def _events(api: Api) -> Context:
    asked = _asked(api, "after", *_FILTERS)
    without = "" if asked["leases"] or asked["kind"].startswith(_LEASES) else _LEASES
    wanted = {name: text for name, text in asked.items() if name != "leases"}
    # To look into events takes longer: a search for a text says sooner how to go on.
    looks = 1 if asked["text"] else LOOKS
    kept = {name: asked[name] for name in _FILTERS if asked[name]}
    run = asked["run"] or asked["agent"].partition("/")[0]
    streamed = {name: text for name, text in (("kind", asked["kind"]), ("run", run)) if text}
    return {
        "page": await _log(api, {**wanted, "without": without}, EVENTS, looks),
        "asked": asked,
        "kept": urlencode(kept),
        "streamed": urlencode(streamed),
        "without": without,
        "kinds": _KINDS,
    }


async def _log(api: Api, query: Mapping[str, str], limit: int, looks: int) -> Context:
    """Return as much of the log as was wanted, across all that is left out, or how far it looked.

    Raises:
        TokaError: Whatever the API refuses with.
    """
    events: list[object] = []
    scanned, after = 0, query.get("after", "")
    for _ in range(looks):
        wanted = {**query, "after": after, "limit": str(limit - len(events))}
        page = await api.get("/v1/log", wanted)
        events += page["events"]
        scanned, after = scanned + page["scanned"], page["next"]
        if after is None or len(events) == limit:
            break
    return {"events": events, "scanned": scanned, "next": after}


async def _log_if_allowed(api: Api, query: Mapping[str, str], limit: int) -> Context | None:
    """Return as much of the log as was wanted; None if the token does not cover it."""
    try:
        return await _log(api, query, limit, LOOKS)
    except Forbidden:
        return None


async def _tools(api: Api) -> Context:
    return {"listed": await api.get("/v1/tools")}


async def _keys(api: Api) -> Context:
    asked = _asked(api, "after")
    revocations = await api.get("/v1/revocations", {**asked, "limit": str(RUNS)})
    return {"keys": await api.get("/v1/keys"), "revocations": revocations, "asked": asked}


async def _health(api: Api) -> Context:
    return {"health": await api.get("/v1/health")}


def _asked(api: Api, *names: str) -> dict[str, str]:
    """Return parameters of the page's address; empty where they are not given."""
    return {name: api.request.query.get(name, "") for name in names}


PAGES: Final = (
    Page("/ui/runs", "runs.html", _runs, "runs", live=""),
    Page("/ui/start", "start.html", _start, "runs"),
    Page("/ui/runs/{run}", "run.html", _run, "runs", live="run={run}"),
    Page("/ui/agents/{agent}", "agent.html", _agent, "runs", live="run={run}"),
    Page("/ui/steps/{event}", "step.html", _step, "runs"),
    Page("/ui/explain/{event}", "explain.html", _explain, "events"),
    Page(
        "/ui/approvals", "approvals.html", _approvals, "approvals", live="kind=approval&kind=task"
    ),
    Page("/ui/events", "events.html", _events, "events"),
    Page("/ui/tools", "tools.html", _tools, "tools"),
    Page("/ui/keys", "keys.html", _keys, "keys"),
    Page("/ui/health", "health.html", _health, "health", live=""),
)
"""Every page."""
