"""The tasks extension: calls that go on after their request was answered with a handle.

`io.modelcontextprotocol/tasks` (SEP-2663). Tasks are in this process: bounded in number, ending by
themselves after their time, and known to one principal alone. What a restart interrupts is gone.
"""

from __future__ import annotations

import asyncio
import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import attrs
import msgspec

from toka.tools.mcp._errors import INVALID_PARAMS, McpError, ProtocolError
from toka.tools.mcp.server._exchange import error_object
from toka.types import NANOSECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from toka.tools.mcp.server._principals import Principal
    from toka.tools.mcp.server._questions import Question
    from toka.types import Clock, Json, JsonObject

MAX_TASKS: Final = 1_024
MAX_TASKS_OF_ONE: Final = 64
LIFETIME_MS: Final = 3_600_000
POLL_INTERVAL_MS: Final = 500
MAX_QUESTIONS: Final = 32
"""That wait for an answer at the same time."""


class TooManyTasksError(McpError):
    """There is no room for another task now."""

    default_code = "tools.mcp_too_many_tasks"
    transient = True


@attrs.define(eq=False)
class Task:
    """One call that goes on by itself."""

    id: str
    principal: Principal
    created_at: int
    updated_at: int
    status: str = "working"
    _work: asyncio.Task[None] | None = attrs.field(alias="work", kw_only=True)
    _clock: Clock = attrs.field(alias="clock", kw_only=True)
    _changed: Callable[[Task], None] = attrs.field(alias="changed", kw_only=True)
    _result: JsonObject | None = attrs.field(default=None, init=False)
    _error: ProtocolError | None = attrs.field(default=None, init=False)
    _asked: dict[str, tuple[Question, asyncio.Future[JsonObject]]] = attrs.field(
        factory=dict[str, "tuple[Question, asyncio.Future[JsonObject]]"], init=False
    )
    _rounds: int = attrs.field(default=0, init=False)

    @property
    def is_over(self) -> bool:
        """Whether its status is the last one."""
        return self.status in {"completed", "failed", "cancelled"}

    def handle(self) -> JsonObject:
        """Return what a client needs to find it again."""
        return {
            "taskId": self.id,
            "status": self.status,
            "createdAt": _date(self.created_at),
            "lastUpdatedAt": _date(self.updated_at),
            "ttlMs": LIFETIME_MS,
            "pollIntervalMs": POLL_INTERVAL_MS,
        }

    def details(self) -> JsonObject:
        """Return the handle with what there is besides: a result, an error, or questions."""
        more: dict[str, Json] = {}
        if self._result is not None:
            more["result"] = self._result
        if self._error is not None:
            more["error"] = msgspec.to_builtins(error_object(self._error))
            more["statusMessage"] = self._error.message
        if self.status == "input_required":
            more["inputRequests"] = {key: asked.as_json() for key, (asked, _) in self._open()}
        return {**self.handle(), **more}

    def _open(self) -> list[tuple[str, tuple[Question, asyncio.Future[JsonObject]]]]:
        return [(key, pair) for key, pair in self._asked.items() if not pair[1].done()]

    async def ask(self, questions: Mapping[str, Question]) -> dict[str, JsonObject]:
        """Wait until `tasks/update` has brought an answer to each.

        Raises:
            McpError: There are too many.
        """
        if len(questions) + len(self._asked) > MAX_QUESTIONS:
            raise McpError(f"A task has at most {MAX_QUESTIONS} questions at a time.")
        loop = asyncio.get_running_loop()
        # A key names one question for the life of the task, whatever the tool calls it.
        self._rounds += 1
        keys = {name: f"{self._rounds}.{name}" for name in questions}
        for name, question in questions.items():
            self._asked[keys[name]] = (question, loop.create_future())
        self._become("input_required")
        try:
            return {name: await self._asked[keys[name]][1] for name in questions}
        finally:
            for key in keys.values():
                del self._asked[key]
            self._become("input_required" if self._open() else "working")

    def update(self, answers: Mapping[str, Json]) -> None:
        """Take the answers to questions that are open; others are ignored.

        Raises:
            ProtocolError: One is no answer to its question; none is taken.
        """
        checked = [
            (future, question.check(answers[key]))
            for key, (question, future) in self._open()
            if key in answers
        ]
        for future, answer in checked:
            future.set_result(answer)

    def complete(self, result: JsonObject) -> None:
        """End with the result of the call."""
        if not self.is_over:
            self._result = result
            self._become("completed")

    def fail(self, error: ProtocolError) -> None:
        """End with the error of the call."""
        if not self.is_over:
            self._error = error
            self._become("failed")

    def cancel(self) -> None:
        """End without either, and end the work."""
        if not self.is_over:
            self._become("cancelled")
            if self._work is not None:
                self._work.cancel()

    def _become(self, status: str) -> None:
        if not self.is_over and status != self.status:
            self.status, self.updated_at = status, self._clock.now()
            self._changed(self)


class TaskBoard:
    """All tasks of one server."""

    __slots__ = ("_changed", "_clock", "_lifetime_ns", "_limit", "_limit_of_one", "_tasks")

    def __init__(
        self,
        clock: Clock,
        changed: Callable[[Task], None],
        *,
        limit: int = MAX_TASKS,
        limit_of_one: int = MAX_TASKS_OF_ONE,
    ) -> None:
        """Prepare to keep tasks.

        Args:
            clock: Tells when each is over.
            changed: Is told whenever the status of one is another.
            limit: How many there may be.
            limit_of_one: How many one principal may have.
        """
        self._clock = clock
        self._changed = changed
        self._limit = limit
        self._limit_of_one = limit_of_one
        self._lifetime_ns = LIFETIME_MS * (NANOSECONDS // 1_000)
        self._tasks: dict[str, Task] = {}

    def __len__(self) -> int:
        return len(self._tasks)

    def create(self, principal: Principal, work: asyncio.Task[None] | None) -> Task:
        """Note the work of a call as a task.

        Raises:
            TooManyTasksError: The principal has as many as it may, or all have.
        """
        self._expire()
        self._make_room(principal)
        now = self._clock.now()
        task = Task(
            secrets.token_urlsafe(24),
            principal,
            now,
            now,
            work=work,
            clock=self._clock,
            changed=self._changed,
        )
        self._tasks[task.id] = task
        return task

    def find(self, task_id: Json, principal: Principal) -> Task:
        """Return a task of this principal; somebody else's is as good as none.

        Raises:
            ProtocolError: There is none of this id.
        """
        self._expire()
        task = self._tasks.get(task_id) if isinstance(task_id, str) else None
        if task is None or task.principal.name != principal.name:
            raise ProtocolError("There is no such task.", INVALID_PARAMS)
        return task

    def has(self, task_id: str, principal: Principal) -> bool:
        """Whether there is a task of this principal by that id."""
        task = self._tasks.get(task_id)
        return task is not None and task.principal.name == principal.name

    def cancel_all(self) -> None:
        """End every task."""
        for task in self._tasks.values():
            task.cancel()

    def _expire(self) -> None:
        end = self._clock.now() - self._lifetime_ns
        for task in tuple(self._tasks.values()):  # oldest first
            if task.created_at > end:
                return
            task.cancel()
            del self._tasks[task.id]

    def _make_room(self, principal: Principal) -> None:
        own = [each for each in self._tasks.values() if each.principal.name == principal.name]
        if len(own) >= self._limit_of_one or len(self._tasks) >= self._limit:
            over = next((each for each in own if each.is_over), None)
            if over is None:
                raise TooManyTasksError("There are as many tasks as there may be.")
            del self._tasks[over.id]


def _date(nanoseconds: int) -> str:
    moment = datetime.fromtimestamp(nanoseconds / NANOSECONDS, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
