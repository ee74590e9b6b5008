"""The one table of what the service answers: routing, permissions and the API document use it."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from toka.orchestration_service import _agents, _approvals, _general, _runs
from toka.orchestration_service._event_stream import stream_events
from toka.orchestration_service._metrics import metrics
from toka.orchestration_service._openapi import api_document
from toka.orchestration_service._route import Parameter, Route
from toka.orchestration_service._shapes import (
    AgentDetail,
    AgentPage,
    AnswerApproval,
    ApprovalAnswer,
    ApprovalList,
    CancelRun,
    Health,
    Run,
    RunDetail,
    RunPage,
    StartedRun,
    StartRun,
    Status,
)

if TYPE_CHECKING:
    from toka.orchestration_service._call import Call

_PAGE: Final = (
    Parameter("after", "Begin behind this one: what `next` of the page before said."),
    Parameter("limit", "The most to return: 1 to 500, 100 if left out.", "integer"),
)
_STREAM: Final = (
    Parameter("after", "Begin behind this position; 0, the start, if left out.", "integer"),
    Parameter("kind", "Only kinds that begin so.", repeated=True),
    Parameter("run", "Only events of this run."),
    Parameter("limit", "End after so many; 0 for no limit.", "integer"),
    Parameter("follow", "Go on with what comes, or end where the log ends now.", "boolean"),
    Parameter("Last-Event-ID", "Goes before `after`; browsers send it.", where="header"),
)
_KEY: Final = Parameter(
    "Idempotency-Key", "The same request again under it begins nothing anew.", where="header"
)


async def openapi(call: Call) -> object:
    """Return the API document."""
    return api_document(ROUTES, call.service.version)


ROUTES: Final = (
    Route("GET", "/health", _general.health, "Whether the service works.", Health, is_open=True),
    Route(
        "GET",
        "/status",
        _general.status,
        "How far the work of all unfinished runs has come.",
        Status,
        needs="run:read:*",
    ),
    Route(
        "GET",
        "/agents",
        _agents.list_names,
        "The names of the agents that live.",
        tuple[str, ...],
        needs="agent:read:**",
    ),
    Route(
        "GET",
        "/v1/agents",
        _agents.list_agents,
        "Agents, run by run.",
        AgentPage,
        needs="agent:read:**",
        parameters=_PAGE,
        refusals=(HTTPStatus.BAD_REQUEST,),
    ),
    Route(
        "GET",
        "/v1/agents/{agent}",
        _agents.get_agent,
        "One agent with its tasks. Its identifier is a path and stands in the address as it is.",
        AgentDetail,
        needs="agent:read:{agent}",
        refusals=(HTTPStatus.NOT_FOUND,),
    ),
    Route(
        "GET",
        "/v1/runs",
        _runs.list_runs,
        "Runs, oldest first.",
        RunPage,
        needs="run:read:*",
        parameters=_PAGE,
        refusals=(HTTPStatus.BAD_REQUEST,),
    ),
    Route(
        "POST",
        "/v1/runs",
        _runs.start_run,
        "Begin a run; the service goes on with it until it ends.",
        StartedRun,
        needs="run:start:*",
        also="agent:spawn:NAME of the run, and everything that its agents ask for",
        status=HTTPStatus.CREATED,
        body=StartRun,
        parameters=(_KEY,),
        refusals=(HTTPStatus.BAD_REQUEST, HTTPStatus.TOO_MANY_REQUESTS),
        location="/v1/runs/{run.run}",
    ),
    Route(
        "GET",
        "/v1/runs/{run}",
        _runs.get_run,
        "One run with its agents and open questions.",
        RunDetail,
        needs="run:read:{run}",
        refusals=(HTTPStatus.NOT_FOUND,),
    ),
    Route(
        "POST",
        "/v1/runs/{run}/cancel",
        _runs.cancel_run,
        "End a run and all its agents, whatever they do.",
        Run,
        needs="agent:control:{run}",
        body=CancelRun,
        refusals=(HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
    ),
    Route(
        "GET",
        "/v1/approvals",
        _approvals.list_approvals,
        "The open questions that the token may answer.",
        ApprovalList,
        also="approval:resolve:AGENT for each question that is listed",
    ),
    Route(
        "POST",
        "/v1/approvals/{approval}",
        _approvals.answer_approval,
        "Answer a question.",
        ApprovalAnswer,
        also="approval:resolve:AGENT of the agent that asks",
        body=AnswerApproval,
        refusals=(HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
    ),
    Route(
        "GET",
        "/v1/events",
        stream_events,
        "The log as server-sent events: the id is the position, the data an Event as JSON.",
        also="event:read:RUN/** for the events of one run, event:read:** for all",
        media="text/event-stream",
        parameters=_STREAM,
        refusals=(HTTPStatus.BAD_REQUEST, HTTPStatus.TOO_MANY_REQUESTS),
    ),
    Route(
        "GET",
        "/metrics",
        metrics,
        "Measured figures in Prometheus' text format.",
        needs="metrics:read:*",
        media="text/plain",
    ),
    Route("GET", "/openapi.json", openapi, "This document.", dict[str, object]),
)
"""Everything that is answered."""
