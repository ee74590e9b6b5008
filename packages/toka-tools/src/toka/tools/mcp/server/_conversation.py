"""What a tool can say to whoever called it, and ask: one tool body for both eras.

    talk = conversation()
    if talk is not None and talk.can("elicitation"):
        answers = await talk.ask({"sure": Question.form("Delete it?", {...})})

In the handshake era a question is a request to the client, and the tool waits for its answer. In
the stateless era the call ends with the question, the client calls again with the answer, and the
tool **runs again from its beginning**: `ask` then returns at once. So a tool asks before it acts,
or acts once under `context.idempotency_key`, which is the same in every round. In a task it waits
for its answer again.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeAlias

import attrs

from toka.tools.mcp._errors import MISSING_CAPABILITY, CannotAskError, ProtocolError
from toka.tools.mcp._revisions import META_LOG_LEVEL, TASKS_EXTENSION
from toka.tools.mcp.server._questions import missing
from toka.tools.mcp.server._tasks import TooManyTasksError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toka.tools.mcp.server._exchange import Exchange
    from toka.tools.mcp.server._questions import Question
    from toka.tools.mcp.server._sessions import Session
    from toka.tools.mcp.server._tasks import Task, TaskBoard
    from toka.types import Json, JsonObject

LogLevel: TypeAlias = Literal[
    "debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"
]

LEVELS: Final = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")
"""Of log messages, the least important first (RFC 5424, section 6.2.1)."""


class Asking(Protocol):
    """A way of getting answers."""

    async def ask(self, questions: Mapping[str, Question]) -> dict[str, JsonObject]:
        """Return an answer to each question."""
        ...


@attrs.frozen(eq=False)
class LiveAsking:
    """Questions as requests to the client, in a session."""

    exchange: Exchange
    session: Session

    async def ask(self, questions: Mapping[str, Question]) -> dict[str, JsonObject]:
        """Ask one after the other, as a person would answer them."""
        answers: dict[str, JsonObject] = {}
        for name, question in questions.items():
            params = question.params
            answer = await self.session.ask(self.exchange.outlet, question.method, params)
            answers[name] = question.check(answer)
        return answers


class Sealer(Protocol):
    """Makes the state that the next round brings back."""

    def __call__(self, answers: dict[str, Json], /) -> str:
        """Return it sealed."""
        ...


@attrs.frozen(eq=False)
class RoundAsking:
    """Questions as the result of this round; their answers came with it, or come with the next."""

    exchange: Exchange
    seal: Sealer
    answers: dict[str, Json]

    async def ask(self, questions: Mapping[str, Question]) -> dict[str, JsonObject]:
        """Return the answers, or end this round."""
        unanswered = {key: each for key, each in questions.items() if key not in self.answers}
        if not unanswered:
            return {key: each.check(self.answers[key]) for key, each in questions.items()}
        self.exchange.answer(
            {
                "resultType": "input_required",
                "inputRequests": {key: each.as_json() for key, each in unanswered.items()},
                "requestState": self.seal(self.answers),
            }
        )
        # The whole call ends, not only the part of it that asks: as if it had been cancelled.
        self.exchange.stop()
        await asyncio.get_running_loop().create_future()
        raise AssertionError  # pragma: no cover - the line before is left by cancellation alone


@attrs.define(eq=False)
class Conversation:
    """The other side of one call."""

    _exchange: Exchange
    _asking: Asking
    _board: TaskBoard
    task: Task | None = attrs.field(default=None, init=False)
    """What the call goes on as, once its request is answered."""

    def can(self, capability: str) -> bool:
        """Whether the client declared elicitation, sampling, roots, or another capability."""
        return capability in self._exchange.capabilities

    async def ask(self, questions: Mapping[str, Question]) -> dict[str, JsonObject]:
        """Ask all of these at once, and return the answers under the same names.

        Whether a person accepted is in the answer; declining is one.

        Raises:
            CannotAskError: The client does not know such questions.
            RemoteError: It answered one with an error, or not in time.
            ProtocolError: An answer is none, or the client should have said what it can do.
        """
        lacking = missing(self._exchange.capabilities, list(questions.values()))
        if lacking:
            raise self._cannot(lacking)
        return await self._asking.ask(questions)

    def _cannot(self, lacking: JsonObject) -> ProtocolError | CannotAskError:
        names = ", ".join(lacking)
        if self._exchange.stateless:
            return ProtocolError(
                f"The client has to declare {names}.",
                MISSING_CAPABILITY,
                {"requiredCapabilities": lacking},
            )
        return CannotAskError(f"The client cannot do what the tool needs: {names}.")

    async def progress(self, done: float, total: float | None = None, message: str = "") -> None:
        """Say how far the call is; nothing happens if the client did not ask to be told."""
        token = self._exchange.meta.get("progressToken")
        if not isinstance(token, (int, str)) or self.task is not None:
            return
        params: dict[str, Json] = {"progressToken": token, "progress": done}
        if total is not None:
            params["total"] = total
        if message:
            params["message"] = message
        await self._exchange.notify("notifications/progress", params)

    async def log(self, level: LogLevel, data: Json, logger: str = "") -> None:
        """Send a log message, if the client wants such as important as this."""
        wanted = self._level()
        if wanted is None or LEVELS.index(level) < LEVELS.index(wanted) or self.task is not None:
            return
        params: dict[str, Json] = {"level": level, "data": data}
        if logger:
            params["logger"] = logger
        await self._exchange.notify("notifications/message", params)

    def _level(self) -> str | None:
        if self._exchange.session is not None:
            return self._exchange.session.log_level or LEVELS[0]
        level = self._exchange.meta.get(META_LOG_LEVEL)
        return level if isinstance(level, str) and level in LEVELS else None

    async def detach(self, *, required: bool = False) -> bool:
        """Let the client go on, with a task to look after; the call goes on too.

        Args:
            required: In the stateless era, refuse a client that knows no tasks.

        Returns:
            Whether it did; otherwise the client waits for the result.

        Raises:
            ProtocolError: It is required, and the client did not declare the tasks extension.
            TooManyTasksError: It is required, and there are as many as there may be.
        """
        knows = self._exchange.knows_tasks
        if required and not knows and self._exchange.stateless:
            raise ProtocolError(
                "The client has to declare the tasks extension.",
                MISSING_CAPABILITY,
                {"requiredCapabilities": {"extensions": {TASKS_EXTENSION: {}}}},
            )
        try:
            return self.detach_now()
        except TooManyTasksError:
            if required:
                raise
            return False

    def detach_now(self) -> bool:
        """Do as `detach` does, but at once.

        Raises:
            TooManyTasksError: There are as many as there may be.
        """
        exchange = self._exchange
        if self.task is None and exchange.knows_tasks and not exchange.answered:
            self.task = self._asking = self._board.create(exchange.principal, exchange.task)
            exchange.answer({"resultType": "task", **self.task.handle()})
        return self.task is not None


_CURRENT: Final[ContextVar[Conversation | None]] = ContextVar("toka_mcp_conversation", default=None)


def conversation() -> Conversation | None:
    """Return the conversation that the running call belongs to, or None outside of a server."""
    return _CURRENT.get()


def enter(talk: Conversation) -> None:
    """Make this the conversation of the running asyncio task."""
    _CURRENT.set(talk)
