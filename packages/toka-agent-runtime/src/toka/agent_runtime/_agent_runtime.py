"""Runs tasks: takes the lease, does the program as durable steps, and records how it ended."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, TypeAlias, cast

import anyio
import attrs

from toka.agent_runtime._approvals import DEFAULT_POLICY, ApprovalPolicy, Approvals
from toka.agent_runtime._code import Code
from toka.agent_runtime._context import ROOT, TaskContext
from toka.agent_runtime._encoding import decode, encode
from toka.agent_runtime._errors import NoModel, OutcomeMissing, StepDiffers, TaskTimedOut
from toka.agent_runtime._failures import failure_of, is_final
from toka.agent_runtime._journal import Journal
from toka.agent_runtime._model_run import ModelProgram, offered_tools, run_model
from toka.agent_runtime._options import DEFAULT_OPTIONS, TaskOptions
from toka.agent_runtime._outcome import TaskOutcome, recorded_outcome
from toka.agent_runtime._playbook import Playbook
from toka.agent_runtime._playbook_run import run_playbook
from toka.agent_runtime._run import Run
from toka.agent_runtime._session import Session
from toka.agent_runtime._steps import Place, Steps
from toka.agent_runtime._time import Expired, within
from toka.auth import AuthenticationError
from toka.capability.core import PermissionSet
from toka.kernel import TaskStarted
from toka.runtime import Rejected, RuntimeHostError
from toka.tools import SandboxPolicy, ToolContext, ToolRegistry, Workspace
from toka.types import (
    NANOSECONDS,
    CompleteTask,
    FailTask,
    Message,
    RetryTask,
    StartTask,
    TokaError,
    agent_name,
    agent_of,
    root_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from toka.kernel import KernelEvent
    from toka.llm_gateway import Model
    from toka.runtime import Attribute, Receipt, Runtime
    from toka.types import EventId, Json, TaskId

Program: TypeAlias = Playbook | Code | ModelProgram
"""What does a task."""
Copies: TypeAlias = "Mapping[tuple[str, int], EventId]"
NO_COPIES: Final[Copies] = {}

LEASE: Final = 30 * NANOSECONDS
RELEASE_SECONDS: Final = 5.0
"""How long a run that is cancelled may take to give its task back."""

_TOKEN_CODES: Final = frozenset({"kernel.token_conflict", "kernel.token_expired"})

logger = logging.getLogger(__name__)

_NOTHING: Final[Mapping[str, Json]] = {}


def _system_random() -> Callable[[], float]:
    from random import random  # noqa: PLC0415 - 9 ms that nobody pays who only reads playbooks

    return random


@attrs.define(eq=False)
class AgentRuntime:
    """Runs the tasks of agents on one host, any number at once."""

    runtime: Runtime
    tools: ToolRegistry
    model: Callable[[], Model] | None = None
    """Is called when a task first asks a model."""
    workspace: Workspace = attrs.field(factory=lambda: Workspace("."))
    sandbox: SandboxPolicy = attrs.field(factory=SandboxPolicy)
    """What the commands of all agents are kept in."""
    approvals: ApprovalPolicy = DEFAULT_POLICY
    holder: str = ""
    """Names this runner in leases; the host's name if empty."""
    lease: int = LEASE
    """Nanoseconds; a lease is renewed after a third of it."""
    random: Callable[[], float] = attrs.field(factory=_system_random)
    """Draws evenly from 0 (included) to 1 (excluded)."""

    async def run_task(
        self,
        task: TaskId,
        program: Program,
        token: str | Callable[[], str],
        variables: Mapping[str, Json] = _NOTHING,
        *,
        options: TaskOptions = DEFAULT_OPTIONS,
        copies: Copies = NO_COPIES,
        on_event: Callable[[KernelEvent], None] | None = None,
    ) -> TaskOutcome:
        """Run a task to its end, with every attempt that it is allowed, or go on with it.

        A task that has ended is not run again; how it ended is read from the log.

        Cancelling this gives the task back, so that it can be gone on with at once.

        Args:
            task: Scheduled in the kernel.
            program: What does it. For a task that was begun, the same as then.
            token: The agent's, or what returns one that is still good.
            variables: What expressions can see: `inputs`, `results`, `agent`, `run`.
            options: What the specification says of the task as a whole.
            copies: Outcomes of the run that this one's root was spawned to copy from: by path and
                ordinal, the event that stands for the step in every attempt.
            on_event: Is told of every event that this run records; it must not raise.

        Raises:
            StepDiffers: The program is not the one that the task was begun with. The task is
                given back, and can be gone on with by that program.
            OutcomeMissing: A step was copied from an event that the log has no more.
            Rejected: The task cannot be started, for example because another holds the lease.
            AuthenticationError: The token is not good.
            RuntimeHostError: The log cannot be written.

        """
        while True:
            try:
                session, admitted = await self._start(task, token, on_event)
            except Rejected as rejected:
                if rejected.code != "kernel.wrong_state":
                    raise
                return await self._ended(task, rejected)
            with self.runtime.tracing.span("task", _said(session)):
                journal = await self._journal(session, copies)
                run = self._prepare(session, journal, admitted, variables, options)
                outcome = await self._attempt(run, program)
            if isinstance(outcome, TaskOutcome):
                return outcome
            await self._wait_until(outcome)

    async def _start(
        self,
        task: TaskId,
        token: str | Callable[[], str],
        on_event: Callable[[KernelEvent], None] | None,
    ) -> tuple[Session, PermissionSet]:
        holder = self.holder or self.runtime.holder
        supply = _supply(token)
        receipt = await self.runtime.submit(Message(supply(), StartTask(task, holder, self.lease)))
        started = _started(receipt)
        if on_event is not None:
            for event in receipt.events:
                on_event(event)
        session = Session(
            self.runtime, task, supply, started.fence, started.attempt, self.lease, on_event
        )
        admitted = self.runtime.state.tokens[receipt.events[-1].token]
        return session, PermissionSet.parse((*admitted.permissions, *admitted.untainted))

    async def _ended(self, task: TaskId, rejected: Rejected) -> TaskOutcome:
        """Return how a task ended that cannot be started for that reason."""
        events = self.runtime.read_stream(agent_of(task))
        outcome = await recorded_outcome(events, task)
        if outcome is None:
            raise rejected
        return outcome

    def _prepare(
        self,
        session: Session,
        journal: Journal,
        granted: PermissionSet,
        variables: Mapping[str, Json],
        options: TaskOptions,
    ) -> Run:
        approvals = Approvals(session, self.approvals)
        conditions = ToolContext(
            options.workspace or self.workspace,
            granted,
            limits=options.limits.for_tools(),
            sandbox=self.sandbox,
            clock=session.clock,
        )
        return Run(
            session,
            journal,
            Steps(session, journal, approvals, self.random),
            approvals,
            self.tools,
            granted,
            conditions,
            options,
            {**_own_variables(session.task), **variables},
            self._model,
            self.random,
        )

    async def _journal(self, session: Session, copies: Copies) -> Journal:
        # The state knows whether there is anything to read, and a new task need not read the log.
        state = session.runtime.state.task(session.task)
        if state is not None and not len(state.paths) and not len(state.started):
            return Journal(session.task, copies)
        events = self.runtime.read_stream(session.agent)
        return await Journal.read(events, session.task, session.attempt, copies)

    def _model(self) -> Model:
        make = self.model
        if make is None:
            raise NoModel(
                "The task asks a model, and none is set.", hint="Set TOKA_LLM_PROVIDER and so on."
            )
        return make()

    async def _attempt(self, run: Run, program: Program) -> TaskOutcome | int:
        """Return how an attempt ended, or when the next one may begin."""
        session = run.session
        ended: TaskOutcome | int | None = None
        try:
            async with anyio.create_task_group() as group:
                session.scope = group.cancel_scope
                group.start_soon(session.keep_lease)
                ended = await self._work(run, program)
                group.cancel_scope.cancel()
        except anyio.get_cancelled_exc_class():
            await _release(session, "The run was stopped.")
            raise
        if session.fault is not None:
            await _release(session, session.fault.code)
            raise session.fault
        ended = ended if ended is not None else session.stopped
        assert ended is not None  # noqa: S101 - nothing else cancels the group's scope
        return ended

    async def _work(self, run: Run, program: Program) -> TaskOutcome | int | None:
        session = run.session
        try:
            result = encode(await _in_time(run, program), f"The result of task {session.task}")
            if session.fault is not None:
                return None
            run.journal.check_emptied()
            await run.steps.settle()
            await session.submit(CompleteTask(session.task, session.fence, result))
        except Exception as error:  # noqa: BLE001 - the outermost loop: it records what failed
            fault = _fault(error)
            if fault is not None:
                session.abort(fault)
            return None if session.fault is not None else await self._fail(run, error)
        return TaskOutcome("completed", decode(result))

    async def _fail(self, run: Run, error: Exception) -> TaskOutcome | int:
        session, failure, policy = run.session, failure_of(error), run.options.retry
        if not policy.is_worth_it(
            failure.code, attempt=session.attempt, is_final=is_final(failure.code)
        ):
            await session.submit(FailTask(session.task, session.fence, failure))
            return TaskOutcome("failed", failure=failure)
        not_before = session.clock.now() + policy.wait(session.attempt, self.random)
        await session.submit(RetryTask(session.task, session.fence, failure, not_before))
        return not_before

    async def _wait_until(self, moment: int) -> None:
        clock = self.runtime.clock
        while (left := moment - clock.now()) > 0:
            await clock.sleep(left)


async def _in_time(run: Run, program: Program) -> Json:
    limit = run.options.limits.timeout
    try:
        return await within(run.session.clock, limit, lambda: _execute(run, program))
    except Expired:
        seconds = (limit or 0) / NANOSECONDS
        raise TaskTimedOut(
            f"Task {run.session.task} took longer than {seconds:g} s and was ended."
        ) from None


async def _execute(run: Run, program: Program) -> Json:
    context = TaskContext(run, Place(ROOT))
    match program:
        case Playbook():
            return await run_playbook(program, context)
        case Code(function):
            return await function(context)
        case ModelProgram():
            tools = offered_tools(run.tools, program.tools, run.granted)
            return await run_model(program, tools, context)


def _said(session: Session) -> dict[str, Attribute]:
    return {"toka.task.id": session.task, "toka.task.attempt": session.attempt}


def _fault(error: BaseException) -> TokaError | None:
    """Return what keeps a run from recording anything, or from being the one that began, if so."""
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        faults = [_fault(each) for each in group.exceptions]
        return next((fault for fault in faults if fault is not None), None)
    if isinstance(error, Rejected):
        return error if error.code in _TOKEN_CODES else None
    if isinstance(error, (AuthenticationError, OutcomeMissing, RuntimeHostError, StepDiffers)):
        return error
    return None


async def _release(session: Session, reason: str) -> None:
    """Give the task back; if that fails, its lease runs out by itself."""
    with anyio.move_on_after(RELEASE_SECONDS, shield=True):
        try:
            await session.release(reason)
        except (AuthenticationError, RuntimeHostError) as error:
            logger.warning("Task %s was not given back: %s", session.task, error)


def _supply(token: str | Callable[[], str]) -> Callable[[], str]:
    return (lambda: token) if isinstance(token, str) else token


def _started(receipt: Receipt) -> TaskStarted:
    body = receipt.events[-1].body
    assert isinstance(body, TaskStarted)  # noqa: S101 - what starting a task records last
    return body


def _own_variables(task: TaskId) -> dict[str, Json]:
    agent = agent_of(task)
    return {
        "agent": {"id": agent, "name": agent_name(agent)},
        "inputs": {},
        "results": {},
        "run": {"id": root_of(agent)},
    }
