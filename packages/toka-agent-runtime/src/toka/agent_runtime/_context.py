"""What a task's program is handed: every way in which it can touch the world, each a durable step.

A program must do the same when it is run again with the same recorded results: it takes the time,
chance and everything else from outside through its context. Steps of one path follow one another;
`branch` gives a path of its own to work that is done at the same time.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import attrs

from toka.agent_runtime._encoding import decode, encode
from toka.agent_runtime._errors import StepDiffers, StepMisplaced
from toka.agent_runtime._mail import receive
from toka.agent_runtime._model_steps import Conversation, ModelSettings
from toka.agent_runtime._retry import NO_RETRY, RetryPolicy
from toka.agent_runtime._steps import Outcome, Place, Plan, Step, step_key
from toka.agent_runtime._tool_steps import run_tool
from toka.llm_gateway import DEFAULT_MAX_OUTPUT_TOKENS, ModelMessage, ToolSchema
from toka.types import (
    NANOSECONDS,
    EmitObservation,
    InvalidValueError,
    SendMessage,
    check_text,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from toka.agent_runtime._approvals import ApprovalPolicy
    from toka.agent_runtime._run import Run
    from toka.llm_gateway import ModelResponse
    from toka.types import AgentId, InDoubt, Json, JsonObject, SideEffect, TaskId

ROOT: Final = "root"
MAX_NAME: Final = 64

_logger = logging.getLogger("toka.agent_runtime.task")
_NOTHING: Final[JsonObject] = {}


class TaskContext:
    """One path of a running task."""

    __slots__ = ("_place", "_run")

    def __init__(self, run: Run, place: Place) -> None:
        self._run = run
        self._place = place

    @property
    def inputs(self) -> JsonObject:
        """What the run was given from outside."""
        return _object(self._run.variables.get("inputs"))

    @property
    def results(self) -> JsonObject:
        """What the tasks and agents that this one depends on returned."""
        return _object(self._run.variables.get("results"))

    @property
    def variables(self) -> Mapping[str, Json]:
        """What the expressions of a playbook can see."""
        return self._run.variables

    @property
    def agent(self) -> AgentId:
        """The agent that the task belongs to."""
        return self._run.session.agent

    @property
    def task(self) -> TaskId:
        """The task."""
        return self._run.session.task

    @property
    def attempt(self) -> int:
        """Which attempt at the task this is, from 1."""
        return self._run.session.attempt

    @property
    def path(self) -> str:
        """Where in the task this context stands."""
        return self._place.path

    @property
    def idempotency_key(self) -> str:
        """Inside a step's function: the same for every time that this step is done.

        Raises:
            StepMisplaced: No step is being done.

        """
        key = step_key.get(None)
        if key is None:
            raise StepMisplaced("There is an idempotency key only inside a step's function.")
        return key

    @property
    def log(self) -> logging.LoggerAdapter[logging.Logger]:
        """A logger whose records carry the task and the path."""
        return logging.LoggerAdapter(_logger, {"task": self.task, "path": self.path})

    def branch(self, name: str) -> TaskContext:
        """Return a context for work that is done at the same time as this one's.

        Call it in the same order whenever the program is run, and before the work begins.

        Raises:
            InvalidValueError: The name is blank, too long, or holds a slash.
            StepDiffers: A branch of another name is on record here.

        """
        if not name.strip() or not name.isprintable() or len(name) > MAX_NAME or "/" in name:
            raise InvalidValueError(f"A branch has a name of 1 to {MAX_NAME} characters, no '/'.")
        number = self._place.branches
        try:
            self._run.journal.check_branch(self._place.path, number, name)
        except StepDiffers as error:
            self._run.session.abort(error)
            raise
        self._place.branches += 1
        return self.at(f"{number}:{name}")

    def at(self, segment: str) -> TaskContext:
        """Return the context of one of many equal pieces of work, named by its number for example.

        Unlike a branch it is not counted: the segment alone says which one it is.
        """
        return TaskContext(self._run, Place(f"{self._place.path}/{segment}"))

    async def tool(self, name: str, /, **arguments: Json) -> Json:
        """Call a tool, and return what it returned.

        Raises:
            StepFailed: It failed or was refused.
            ResultInvalid: The arguments are not JSON.

        """
        return await self.call_tool(name, arguments)

    async def call_tool(
        self,
        name: str,
        arguments: JsonObject,
        *,
        retry: RetryPolicy = NO_RETRY,
        timeout: int | None = None,  # noqa: ASYNC109 - the host's clock counts it
        in_doubt: InDoubt | None = None,
    ) -> Json:
        """Call a tool as `tool` does, with a say in how.

        Args:
            name: The tool.
            arguments: By name.
            retry: How often to try.
            timeout: Nanoseconds for one attempt.
            in_doubt: What to do if a crash leaves the call without an outcome.

        Raises:
            StepFailed: It failed or was refused.
            ResultInvalid: The arguments are not JSON.

        """
        return await run_tool(
            self._run,
            self._place,
            name,
            arguments,
            retry=retry,
            timeout=timeout,
            in_doubt=in_doubt,
        )

    async def model(
        self,
        prompt: str | Sequence[ModelMessage],
        *,
        system: str = "",
        tools: tuple[ToolSchema, ...] = (),
        model: str | None = None,
        max_output_tokens: int = DEFAULT_MAX_OUTPUT_TOKENS,
        temperature: float | None = None,
        retry: RetryPolicy = NO_RETRY,
        timeout: int | None = None,  # noqa: ASYNC109 - the host's clock counts it
    ) -> ModelResponse:
        """Ask a model once, and return its answer.

        Args:
            prompt: A text, or a whole conversation.
            system: The system prompt.
            tools: What the model may ask to be called; calling is the program's business.
            model: A name at the provider; None takes the agent runtime's model.
            max_output_tokens: The longest answer.
            temperature: None leaves it to the provider.
            retry: How often to try.
            timeout: Nanoseconds for one attempt.

        Raises:
            StepFailed: No answer came, or the budget does not allow the call.

        """
        settings = ModelSettings(
            system, tools, model, max_output_tokens, temperature, retry, timeout
        )
        conversation = self.conversation(settings)
        for message in [ModelMessage.user(prompt)] if isinstance(prompt, str) else prompt:
            conversation.say(message)
        return await conversation.ask()

    def conversation(self, settings: ModelSettings) -> Conversation:
        """Begin a conversation in which each call records only what is new."""
        return Conversation(self._run, self._place, settings)

    async def step(
        self,
        name: str,
        function: Callable[..., Awaitable[Json]],
        *,
        effect: SideEffect = "none",
        arguments: JsonObject = _NOTHING,
        requires: tuple[str, ...] = (),
        retry: RetryPolicy = NO_RETRY,
        timeout: int | None = None,  # noqa: ASYNC109 - the host's clock counts it
        in_doubt: InDoubt = "ask",
    ) -> Json:
        """Do an async function of the program's own as a step, and return what it returned.

        Args:
            name: What the record calls it.
            function: Is called with `arguments` by name.
            effect: What calling it once more would do.
            arguments: Are recorded, and must be the same whenever the program is run.
            requires: Permissions that the agent must have.
            retry: How often to try.
            timeout: Nanoseconds for one attempt.
            in_doubt: What to do if a crash leaves an external effect without an outcome.

        Raises:
            StepFailed: It raised something, or was refused.
            ResultInvalid: The arguments are not JSON.

        """
        encoded = encode(arguments, f"The arguments of step {name}")

        async def call(_: int) -> Outcome:
            return Outcome(encode(await function(**arguments), f"The result of step {name}"))

        step = Step(
            name,
            effect,
            encoded,
            (lambda: Plan(requires)) if requires else None,
            retry=retry,
            timeout=timeout,
            in_doubt=in_doubt,
        )
        return decode(await self._run.steps.run(self._place, step, call))

    async def sleep(self, seconds: float) -> None:
        """Wait. The time counts from when it first began, whatever happens in between."""
        clock, nanoseconds = self._run.session.clock, int(seconds * NANOSECONDS)

        async def call(begun: int) -> Outcome:
            while (left := begun + nanoseconds - clock.now()) > 0:
                await clock.sleep(left)
            return Outcome()

        arguments = encode({"nanoseconds": nanoseconds}, "The time")
        step = Step("sleep", "none", arguments, starts_on_disk=True)
        await self._run.steps.run(self._place, step, call)

    async def now(self) -> int:
        """Return nanoseconds since the Unix epoch, the same whenever the program is run."""

        async def read() -> Json:
            return self._run.session.clock.now()

        return _integer(await self.step("now", read))

    async def random(self) -> float:
        """Return a number from 0 to below 1, the same whenever the program is run."""

        async def draw() -> Json:
            return self._run.random()

        value = await self.step("random", draw)
        assert isinstance(value, (int, float))  # noqa: S101 - what draw() returned
        return float(value)

    async def send(self, agent: AgentId, body: Json) -> None:
        """Put a message into an agent's mailbox, once.

        Raises:
            StepFailed: The agent may not be written to, does not live, or has a full mailbox.

        """
        data = encode(body, "The message")

        async def call(_: int) -> Outcome:
            await self._run.session.submit(SendMessage(agent, data), step_key.get())
            return Outcome()

        arguments = encode({"agent": agent, "body": data}, "The message")
        await self._run.steps.run(self._place, Step("send", "idempotent", arguments), call)

    async def receive(self, timeout: float | None = None) -> Json:  # noqa: ASYNC109 - durable
        """Wait for a message to the agent, take it out of the mailbox, and return its body.

        Args:
            timeout: Seconds after which None is returned; without it, the wait has no end.

        """
        deadline = None
        if timeout is not None:
            deadline = await self.now() + int(timeout * NANOSECONDS)
        return await receive(self._run, self._place, deadline)

    async def approve(
        self, question: str, *, details: Json = None, policy: ApprovalPolicy | None = None
    ) -> bool:
        """Ask a person, and return whether the answer is yes.

        Args:
            question: For the person to read.
            details: What the answer is about; recorded, and part of what it is good for.
            policy: How long there is to answer; the agent runtime's if None.

        """
        check_text(question, "The question", 4_096)
        run, place = self._run, self._place
        arguments = encode({"details": details, "question": question}, "The question")
        approved = False

        async def call(_: int) -> Outcome:
            return Outcome(encode(approved, "The answer"))

        step = Step("approve", "none", arguments)
        if not run.journal.has(place.path, place.next):
            answer = await run.approvals.ask(step.name, arguments, question, policy)
            approved = answer.approved
            if approved:
                step = attrs.evolve(step, approval=answer.approval)
        return decode(await run.steps.run(place, step, call)) is True

    async def observe(self, topic: str, data: Json) -> None:
        """Record something worth remembering, once.

        Raises:
            StepFailed: It cannot be recorded.

        """
        body = encode(data, "The observation")

        async def call(_: int) -> Outcome:
            operation = EmitObservation(self.agent, topic, body)
            await self._run.session.submit(operation, step_key.get())
            return Outcome()

        arguments = encode({"data": body, "topic": topic}, "The observation")
        await self._run.steps.run(self._place, Step("observe", "idempotent", arguments), call)


def _object(value: Json) -> JsonObject:
    return value if isinstance(value, Mapping) else _NOTHING


def _integer(value: Json) -> int:
    assert isinstance(value, int)  # noqa: S101 - what was recorded under this name
    return value
