"""Outcomes of an earlier run's steps, taken over in place of doing the steps again.

A step is taken over when the program comes to it and asks for what was done then: the same name,
effect and arguments, with this run's identifier wherever they had the earlier one's. So a changed
program is found out at the first step that is another one, before anything of it is on record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from toka.agent_runtime._errors import OutcomeMissing
from toka.agent_runtime._journal import RecordedStep
from toka.kernel import Terms
from toka.runtime import Rejected, find_outcome
from toka.types import AgentId, CopyStep, root_of

if TYPE_CHECKING:
    from toka.agent_runtime._session import Session
    from toka.runtime import StepOutcome
    from toka.types import EventId


@attrs.frozen
class CopiedStep:
    """A step as it was done in an earlier run."""

    recorded: RecordedStep
    outcome: StepOutcome


async def read_copy(session: Session, origin: EventId, path: str, ordinal: int) -> CopiedStep:
    """Return the step whose outcome an event has, as a step of this run.

    Raises:
        OutcomeMissing: The log has it no more.
        StoreError: The log cannot be read.
    """
    outcome = await find_outcome(session.runtime.store, origin)
    if outcome is None:
        error = OutcomeMissing(
            f"The outcome that step {ordinal} on path {path} of task {session.task} takes over is"
            f" not in the log (event {origin}).",
            hint="Begin the run anew, without taking over outcomes.",
            details={"task": session.task, "path": path, "ordinal": ordinal, "event": origin},
        )
        session.abort(error)
        raise error
    first = outcome.chain[-1].event
    then, now = root_of(AgentId(first.stream)), root_of(session.agent)
    recorded = RecordedStep(
        path,
        ordinal,
        outcome.intent.name,
        outcome.intent.effect,
        bytes(outcome.intent.arguments).replace(then.encode(), now.encode()),
        Terms(),
        outcome.end.started,
        session.fence,
        finished=True,
        result=outcome.result,
        failure=outcome.failure,
        origin=origin,
    )
    return CopiedStep(recorded, outcome)


async def record_copy(session: Session, copied: CopiedStep) -> None:
    """Put on record that a step has its outcome from an earlier run.

    Raises:
        Rejected: The kernel does not take it; the run is stopped.
    """
    recorded, outcome = copied.recorded, copied.outcome
    assert recorded.origin is not None  # noqa: S101 - see read_copy
    operation = CopyStep(
        session.task,
        session.fence,
        recorded.path,
        recorded.ordinal,
        recorded.name,
        recorded.origin,
        failed=recorded.failure is not None,
        taint=outcome.taint,
    )
    try:
        await session.submit(operation)
    except Rejected as error:
        session.abort(error)
        raise
