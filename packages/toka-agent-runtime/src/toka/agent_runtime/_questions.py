"""A question to a person as a step.

The question is an approval whose yes carries an answer, asked before the step begins and found
again after a crash by the step's name and arguments; nothing else of the step is on record while
the run waits. The step's outcome takes the answer over in one commit with the approval's being used
up, so that the answer is neither lost nor asked for twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from toka.agent_runtime._approvals import ApprovalPolicy
from toka.agent_runtime._encoding import decode, encode
from toka.agent_runtime._retry import NO_RETRY
from toka.agent_runtime._steps import DENIALS, Outcome
from toka.runtime import Rejected
from toka.tools import NoPersonError, PersonDeclinedError, ToolTimeoutError
from toka.types import NANOSECONDS, TokaError

if TYPE_CHECKING:
    from toka.agent_runtime._approvals import Answer
    from toka.agent_runtime._run import Run
    from toka.agent_runtime._steps import Call, Place, Step
    from toka.tools import AsksPerson, Question
    from toka.types import JsonObject

_REFUSED: Final = DENIALS | {"kernel.limit_exceeded"}


async def question_step(
    run: Run,
    place: Place,
    tool: AsksPerson,
    step: Step,
    timeout: int | None,  # noqa: ASYNC109 - the host's clock counts it
) -> tuple[Step, Call]:
    """Return the step of a question once somebody has answered, and what tells the answer.

    Whatever keeps it from being asked becomes the outcome of the step.

    Args:
        run: The run.
        place: Where it stands; a question that is on record there is not asked.
        tool: What asks.
        step: As for any tool.
        timeout: Nanoseconds to answer; the question may give less, and the run's policy.

    """
    # Asking again under the same name and arguments is asking the same question.
    step = attrs.evolve(step, effect="idempotent", retry=NO_RETRY, timeout=None)
    if run.journal.has(place.path, place.next):
        return step, _nothing
    try:
        needed = step.plan().requires if step.plan else ()
        question = tool.question(_arguments(step))
    except TokaError as error:
        return _failed(step), _raising(error)
    if not all(run.granted.covers(request) for request in needed):
        return step, _nothing
    policy = _policy(run, question, timeout)
    form = encode(question.form, "The form of the answer")
    try:
        answer = await run.approvals.ask(step.name, step.arguments, question.text, policy, form)
    except Rejected as rejected:
        if rejected.code not in _REFUSED:
            raise
        return _failed(step), _raising(rejected)
    if not answer.approved:
        step = attrs.evolve(_failed(step), approval=answer.approval)
        return step, _raising(_why_not(answer, policy))
    return attrs.evolve(step, approval=answer.approval), _telling(tool, answer)


def _arguments(step: Step) -> JsonObject:
    arguments = decode(step.arguments)
    assert isinstance(arguments, dict)  # noqa: S101 - an object was encoded
    return arguments


def _policy(run: Run, question: Question, timeout: int | None) -> ApprovalPolicy:
    limits = (run.approvals.policy.timeout, question.timeout_ns, timeout)
    return ApprovalPolicy(min(limit for limit in limits if limit is not None))


def _failed(step: Step) -> Step:
    return attrs.evolve(step, effect="none", plan=None)


def _why_not(answer: Answer, policy: ApprovalPolicy) -> TokaError:
    inquiry = answer.inquiry
    if inquiry is None or not inquiry.by:
        seconds = policy.timeout / NANOSECONDS
        return ToolTimeoutError(
            f"Nobody answered within {seconds:g} s.", details={"timeout_ns": policy.timeout}
        )
    reason = f": {inquiry.reason}" if inquiry.reason else "."
    return PersonDeclinedError(
        f"{inquiry.by} declined to answer{reason}", details={"by": inquiry.by}
    )


def _telling(tool: AsksPerson, answer: Answer) -> Call:
    inquiry = answer.inquiry
    assert inquiry is not None  # noqa: S101 - the kernel approves no question without an answer

    async def call(_: int) -> Outcome:
        return Outcome(encode(tool.answered(decode(inquiry.answer), inquiry.by), "The answer"))

    return call


def _raising(error: TokaError) -> Call:
    async def call(_: int) -> Outcome:
        raise error

    return call


async def _nothing(_: int) -> Outcome:
    raise NoPersonError("The question was not asked: it is on record, or was to be refused.")
