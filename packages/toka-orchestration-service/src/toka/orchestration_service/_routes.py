"""The one table of what the service answers: routing, permissions and the API document use it."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from toka.orchestration_service import (
    _agents,
    _approvals,
    _capabilities,
    _control,
    _event_pages,
    _facilities,
    _general,
    _graphs,
    _mailboxes,
    _runs,
    _spans,
    _steps,
)
from toka.orchestration_service._event_stream import stream_events
from toka.orchestration_service._metrics import metrics
from toka.orchestration_service._openapi import api_document
from toka.orchestration_service._route import Parameter, Route
from toka.orchestration_service._shapes import (
    Agent,
    AgentPage,
    AnswerApproval,
    ApprovalAnswer,
    ApprovalList,
    CancelRun,
    Control,
    Health,
    RetryRun,
    Run,
    RunDetail,
    RunPage,
    StartedRun,
    StartRun,
    Status,
)
from toka.orchestration_service._shapes_agents import AgentDetail, CapabilityList, Mailbox
from toka.orchestration_service._shapes_events import EventPage, Explanation, StepDetail
from toka.orchestration_service._shapes_runs import Graph, SpanPage, TaskPage
from toka.orchestration_service._shapes_system import (
    HealthDetail,
    KeyList,
    RevocationPage,
    ToolList,
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
    "Idempotency-Key",
    "The same request again under it does nothing anew and gets the same answer.",
    where="header",
)
_ORDER: Final = Parameter("order", "`newest`, if left out, or `oldest` first.")
_TEXT: Final = Parameter("text", "Only what holds this text, in whatever case.")
_AGENT: Final = Parameter("agent", "Only of this agent.")
_BAD: Final = (HTTPStatus.BAD_REQUEST,)
_NONE: Final = (HTTPStatus.NOT_FOUND,)
_EITHER: Final = (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND)
_STEERING: Final = (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)
_CONTROL: Final = "agent:control:AGENT for each agent of it, asked by the kernel"


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
        of_log=True,
    ),
    Route(
        "GET",
        "/v1/agents/{agent}",
        _agents.get_agent,
        "One agent with its tasks. Its identifier is a path and stands in the address as it is.",
        AgentDetail,
        needs="agent:read:{agent}",
        parameters=(
            Parameter(
                "tasks", "How many of its newest tasks: 0 to 500, 500 if left out.", "integer"
            ),
        ),
        refusals=_EITHER,
        of_log=True,
    ),
    Route(
        "GET",
        "/v1/runs",
        _runs.list_runs,
        "Runs.",
        RunPage,
        needs="run:read:*",
        parameters=(
            *_PAGE,
            _ORDER,
            Parameter("state", "Only runs in this state.", repeated=True),
            Parameter("text", "Only runs whose name or identifier holds this."),
        ),
        refusals=_BAD,
        of_log=True,
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
        of_log=True,
    ),
    Route(
        "POST",
        "/v1/runs/{run}/cancel",
        _control.cancel_run,
        "End a run and all its agents, whatever they do.",
        Run,
        needs="agent:control:{run}",
        body=CancelRun,
        parameters=(_KEY,),
        refusals=_STEERING,
    ),
    Route(
        "POST",
        "/v1/runs/{run}/retry",
        _runs.retry_run,
        "Begin another run of what an ended one was, from its beginning or from one of its steps.",
        StartedRun,
        needs="run:start:*",
        also="run:read:RUN, agent:spawn:NAME of the run, and everything that its agents ask for;"
        " from a step also event:read:RUN/**",
        status=HTTPStatus.CREATED,
        body=RetryRun,
        parameters=(_KEY,),
        refusals=(
            HTTPStatus.NOT_FOUND,
            HTTPStatus.CONFLICT,
            HTTPStatus.TOO_MANY_REQUESTS,
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.UNPROCESSABLE_ENTITY,
        ),
        location="/v1/runs/{run.run}",
    ),
    Route(
        "POST",
        "/v1/runs/{run}/pause",
        _control.pause_run,
        "Let a run and its agents begin nothing further; what goes on is finished.",
        Run,
        needs="agent:control:{run}",
        also=_CONTROL,
        body=Control,
        parameters=(_KEY,),
        refusals=_STEERING,
    ),
    Route(
        "POST",
        "/v1/runs/{run}/resume",
        _control.resume_run,
        "Let a paused run go on, with all of its agents that are paused.",
        Run,
        needs="agent:control:{run}",
        also=_CONTROL,
        body=Control,
        parameters=(_KEY,),
        refusals=_STEERING,
    ),
    Route(
        "GET",
        "/v1/runs/{run}/graph",
        _graphs.get_graph,
        "The agents of a run, and what each waits for.",
        Graph,
        needs="run:read:{run}",
        parameters=_PAGE,
        refusals=_EITHER,
        of_log=True,
    ),
    Route(
        "GET",
        "/v1/runs/{run}/tasks",
        _graphs.list_tasks,
        "The tasks of a run with their attempts, agent by agent.",
        TaskPage,
        needs="run:read:{run}",
        parameters=(*_PAGE, Parameter("state", "Only tasks in this state.", repeated=True)),
        refusals=_EITHER,
        of_log=True,
    ),
    Route(
        "GET",
        "/v1/runs/{run}/spans",
        _spans.list_spans,
        "Steps, calls, waits and questions of a run in time. Begin at the oldest; ask again behind"
        " `position` for what has come since, and take a span that comes again for the newer one.",
        SpanPage,
        needs="event:read:{run}/**",
        parameters=(
            *_PAGE,
            Parameter("order", "`oldest`, if left out, or `newest` first."),
            _AGENT,
            Parameter("task", "Only of this task."),
        ),
        refusals=_EITHER,
        of_log=True,
    ),
    Route(
        "POST",
        "/v1/agents/{agent}:pause",
        _control.pause_agent,
        "Let an agent begin nothing further; what goes on is finished.",
        Agent,
        needs="agent:control:{agent}",
        body=Control,
        parameters=(_KEY,),
        refusals=_STEERING,
    ),
    Route(
        "POST",
        "/v1/agents/{agent}:resume",
        _control.resume_agent,
        "Let a paused agent go on.",
        Agent,
        needs="agent:control:{agent}",
        body=Control,
        parameters=(_KEY,),
        refusals=_STEERING,
    ),
    Route(
        "GET",
        "/v1/mailboxes/{agent}",
        _mailboxes.get_mailbox,
        "Messages that wait to be read by an agent.",
        Mailbox,
        needs="event:read:{agent}/**",
        parameters=_PAGE,
        refusals=_EITHER,
        of_log=True,
    ),
    Route(
        "GET",
        "/v1/capabilities/{agent}",
        _capabilities.list_capabilities,
        "What an agent may do, and every hand that each permission went through.",
        CapabilityList,
        needs="agent:read:{agent}",
        refusals=_NONE,
        of_log=True,
    ),
    Route(
        "GET",
        "/v1/steps/{event}",
        _steps.get_step,
        "One step, by any of its events: arguments, result, cost, key, causes and capabilities.",
        StepDetail,
        also="event:read:AGENT/** of the agent whose step it is",
        refusals=_NONE,
        of_log=True,
    ),
    Route(
        "GET",
        "/v1/explanations/{event}",
        _event_pages.get_explanation,
        "One event, with the chain of causes and capabilities behind it.",
        Explanation,
        also="event:read:STREAM/** of the stream that it is in",
        refusals=_NONE,
        of_log=True,
    ),
    Route(
        "GET",
        "/v1/log",
        _event_pages.list_events,
        "The log in pages, newest first unless asked otherwise.",
        EventPage,
        also="event:read:AGENT/** or event:read:RUN/** for one agent or run, event:read:** for all",
        parameters=(
            *_PAGE,
            _ORDER,
            Parameter("kind", "Only this kind, or kinds that begin so.", repeated=True),
            Parameter("without", "No kind that is this one, or begins so.", repeated=True),
            Parameter("run", "Only events of this run."),
            _AGENT,
            _TEXT,
        ),
        refusals=_BAD,
    ),
    Route(
        "GET",
        "/v1/tools",
        _facilities.list_tools,
        "The tools that agents can be allowed.",
        ToolList,
        needs="tool:read:*",
    ),
    Route(
        "GET",
        "/v1/keys",
        _facilities.list_keys,
        "What is public of the keys that tokens are checked with.",
        KeyList,
        needs="key:read:*",
    ),
    Route(
        "GET",
        "/v1/revocations",
        _facilities.list_revocations,
        "What was taken back, oldest first.",
        RevocationPage,
        needs="key:read:*",
        parameters=_PAGE,
        refusals=_BAD,
    ),
    Route(
        "GET",
        "/v1/health",
        _facilities.get_health,
        "How the parts of the service do, measured now.",
        HealthDetail,
        needs="metrics:read:*",
    ),
    Route(
        "GET",
        "/v1/approvals",
        _approvals.list_approvals,
        "The open questions that the token may answer.",
        ApprovalList,
        also="approval:resolve:AGENT for each question that is listed",
        of_log=True,
    ),
    Route(
        "POST",
        "/v1/approvals/{approval}",
        _approvals.answer_approval,
        "Answer a question.",
        ApprovalAnswer,
        also="approval:resolve:AGENT of the agent that asks",
        body=AnswerApproval,
        parameters=(_KEY,),
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
