"""Handlers of what steers runs and agents: cancel, pause, resume.

The kernel decides on each under the caller's token. A repetition under the same Idempotency-Key
gets the first answer, whatever has happened since.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from toka.kernel import AgentResumed, AgentSuspended, AgentTerminated
from toka.orchestration_service._agents import find_agent
from toka.orchestration_service._errors import Conflict, KeyReused
from toka.orchestration_service._render import children_of, render_agent
from toka.orchestration_service._runs import find_run, render
from toka.orchestration_service._shapes import CancelRun, Control
from toka.runtime import Rejected
from toka.types import Message, ResumeAgent, SuspendAgent, TerminateAgent, digest

if TYPE_CHECKING:
    from toka.orchestration import RunView
    from toka.orchestration_service._call import Call
    from toka.orchestration_service._shapes import Agent, Run
    from toka.runtime import Receipt
    from toka.types import AgentId, Operation

Fact: TypeAlias = type[AgentTerminated] | type[AgentSuspended] | type[AgentResumed]


async def cancel_run(call: Call) -> Run:
    """End a run, under the caller's token.

    Raises:
        NotFound: There is none.
        Conflict: It has ended.
        KeyReused: The Idempotency-Key was used for something else.
        Rejected: The token does not cover it.
    """
    wanted, view = await call.body_or(CancelRun()), await find_run(call)
    if view.ended and not call.idempotency_key():
        raise _has_ended(view)
    try:
        await _submit(call, TerminateAgent(view.run, wanted.reason), view.run, AgentTerminated)
    except Rejected as rejected:
        if view.ended and rejected.code == "kernel.unknown_agent":
            raise _has_ended(view) from rejected
        raise
    await call.service.projection.current()
    return render(call, view)


async def pause_run(call: Call) -> Run:
    """Suspend a run with every agent of it that lives.

    Raises:
        NotFound: There is no such run.
        Conflict: It has ended, or is paused.
        KeyReused: The Idempotency-Key was used for something else.
        Rejected: The token does not cover it.
    """
    wanted, view = await call.body_or(Control()), await find_run(call)
    if view.ended:
        raise _has_ended(view)
    reason = wanted.reason or "Paused over HTTP."
    # The run first: from then on nothing of it starts another task.
    await _submit(call, SuspendAgent(view.run, reason), view.run, AgentSuspended)
    for agent in _children(call, view, suspended=False):
        await _submit_to_child(call, SuspendAgent(agent, reason), agent, AgentSuspended)
    await call.service.projection.current()
    return render(call, view)


async def resume_run(call: Call) -> Run:
    """Let a run go on, with every agent of it that is suspended.

    Raises:
        NotFound: There is no such run.
        Conflict: It has ended, or is not paused.
        KeyReused: The Idempotency-Key was used for something else.
        Rejected: The token does not cover it.
    """
    wanted, view = await call.body_or(Control()), await find_run(call)
    if view.ended:
        raise _has_ended(view)
    for agent in _children(call, view, suspended=True):
        await _submit_to_child(call, ResumeAgent(agent, wanted.reason), agent, AgentResumed)
    await _submit(call, ResumeAgent(view.run, wanted.reason), view.run, AgentResumed)
    await call.service.projection.current()
    return render(call, view)


async def pause_agent(call: Call) -> Agent:
    """Suspend an agent: it starts no further task or step.

    Raises:
        NotFound: There is no such agent.
        KeyReused: The Idempotency-Key was used for something else.
        Rejected: The token does not cover it, or the agent does not live or is paused.
    """
    wanted, view = await call.body_or(Control()), await find_agent(call)
    reason = wanted.reason or "Paused over HTTP."
    await _submit(call, SuspendAgent(view.agent, reason), view.agent, AgentSuspended)
    await call.service.projection.current()
    return render_agent(view)


async def resume_agent(call: Call) -> Agent:
    """Let a suspended agent go on.

    Raises:
        NotFound: There is no such agent.
        KeyReused: The Idempotency-Key was used for something else.
        Rejected: The token does not cover it, or the agent is not paused.
    """
    wanted, view = await call.body_or(Control()), await find_agent(call)
    await _submit(call, ResumeAgent(view.agent, wanted.reason), view.agent, AgentResumed)
    await call.service.projection.current()
    return render_agent(view)


def _children(call: Call, view: RunView, *, suspended: bool) -> list[AgentId]:
    state = call.service.runtime.state
    known = ((child.agent, state.agent(child.agent)) for child in children_of(view))
    return [
        agent
        for agent, child in known
        if child is not None and not child.ended and (child.phase == "suspended") == suspended
    ]


async def _submit_to_child(call: Call, operation: Operation, agent: AgentId, fact: Fact) -> None:
    try:
        await _submit(call, operation, agent, fact, part=agent)
    except Rejected as rejected:
        # It has ended, or somebody else has done the same, between the look and the request.
        if rejected.code not in ("kernel.wrong_state", "kernel.unknown_agent"):
            raise


async def _submit(
    call: Call, operation: Operation, agent: AgentId, fact: Fact, *, part: str = ""
) -> Receipt:
    key = call.idempotency_key()
    if key and part:
        # A request may be several operations, each with an answer of its own.
        key = digest(f"{key}\n{part}".encode()).hex()
    message = Message(call.token, operation, key)
    receipt = await call.service.runtime.submit(message, at_door=True)
    done = (event for event in receipt.events if event.stream == agent)
    if not any(isinstance(event.body, fact) for event in done):
        raise KeyReused(
            "The Idempotency-Key was used before, for something else.",
            hint="Use a new key for a new request.",
        )
    return receipt


def _has_ended(view: RunView) -> Conflict:
    return Conflict(f"Run {view.run} has ended.", details={"run": view.run})
