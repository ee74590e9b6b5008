"""Work that a server does after it has answered: a handle, asked for until there is a result.

In 2026-07-28 the extension `io.modelcontextprotocol/tasks` (SEP-2663): the server decides, and the
result comes with `tasks/get`. In 2025-11-25 tasks are a part of the protocol, the client asks for
one, and the result comes with `tasks/result`. Either way a call that is given up cancels its task.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final, cast

import anyio
import attrs

from toka.tools.mcp._errors import ConnectionLostError, ProtocolError, RemoteError

if TYPE_CHECKING:
    from toka.tools.mcp.client._session import Session
    from toka.types import Json, JsonObject

CANCEL_SECONDS: Final = 1.0
DEFAULT_POLL_MS: Final = 500
MIN_POLL_MS: Final = 20
MAX_POLL_MS: Final = 30_000
MAX_TASK_ID: Final = 1_024
_DONE: Final = frozenset({"completed", "failed", "cancelled"})


@attrs.frozen
class _Task:
    id: str
    status: str
    poll_ms: int

    @classmethod
    def read(cls, value: JsonObject) -> _Task:
        """Read a task's state.

        Raises:
            ProtocolError: It is none.
        """
        task, status = value.get("taskId"), value.get("status")
        if not isinstance(task, str) or not 0 < len(task) <= MAX_TASK_ID:
            raise ProtocolError("A task has no id that could be asked for.")
        if not isinstance(status, str):
            raise ProtocolError("A task has no status.")
        wanted = value.get("pollIntervalMs", value.get("pollInterval"))
        poll = int(wanted) if isinstance(wanted, (int, float)) else DEFAULT_POLL_MS
        return cls(task, status, min(max(poll, MIN_POLL_MS), MAX_POLL_MS))


def is_task(result: JsonObject, *, stateless: bool) -> bool:
    """Say whether the result of a call is a handle of a task."""
    return result.get("resultType") == "task" if stateless else "task" in result


async def finish_task(session: Session, created: JsonObject) -> dict[str, Json]:
    """Wait for the end of a task and return the result of the call that it is of.

    Raises:
        CannotAskError: It needs an answer that nobody gives here; it is cancelled.
        RemoteError: It failed, or was cancelled by the server.
        ToolError: Its state cannot be had.
    """
    inner = created if session.stateless else created.get("task")
    if not isinstance(inner, dict):
        raise ProtocolError("A task is no object.")
    task = _Task.read(inner)
    try:
        if session.stateless:
            return await _by_polling(session, task)
        return await _by_waiting(session, task)
    except BaseException:
        # Also a server that asks what nobody answers would wait for it for ever.
        with anyio.move_on_after(CANCEL_SECONDS, shield=True):
            with suppress(RemoteError, ConnectionLostError, ProtocolError):
                await session.request("tasks/cancel", {"taskId": task.id})
        raise


async def _by_polling(session: Session, task: _Task) -> dict[str, Json]:
    answered: set[str] = set()
    while True:
        await anyio.sleep(task.poll_ms / 1_000)
        state = await session.request("tasks/get", {"taskId": task.id})
        task = _same(_Task.read(state), task)
        if task.status in _DONE:
            return _outcome(task, state)
        requests = state.get("inputRequests")
        if task.status == "input_required" and isinstance(requests, dict):
            fresh = {key: one for key, one in requests.items() if key not in answered}
            if fresh:
                answers = await session.answer_inputs(cast("Json", fresh))
                answered |= fresh.keys()
                update = {"taskId": task.id, "inputResponses": cast("Json", answers)}
                await session.request("tasks/update", update)


async def _by_waiting(session: Session, task: _Task) -> dict[str, Json]:
    while task.status not in _DONE and task.status != "input_required":
        await anyio.sleep(task.poll_ms / 1_000)
        task = _same(_Task.read(await session.request("tasks/get", {"taskId": task.id})), task)
    # For a task that asks, the questions come while its result is waited for.
    return await session.request("tasks/result", {"taskId": task.id})


def _same(task: _Task, before: _Task) -> _Task:
    if task.id != before.id:
        raise ProtocolError("The server answered with the state of another task.")
    return task


def _outcome(task: _Task, state: JsonObject) -> dict[str, Json]:
    result, error = state.get("result"), state.get("error")
    if task.status == "completed" and isinstance(result, dict):
        return result
    number = error.get("code") if isinstance(error, dict) else None
    text = error.get("message") if isinstance(error, dict) else None
    raise RemoteError(
        f"The task ended as {task.status}: {ascii(text)[:300]}.",
        number if isinstance(number, int) else 0,
    )
