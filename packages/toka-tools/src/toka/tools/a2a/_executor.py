"""An agent behind the SDK's server: its news as events of a task."""

from __future__ import annotations

import logging
from contextlib import aclosing
from typing import TYPE_CHECKING, Final, cast

import attrs
from a2a.helpers import new_text_part
from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.tasks import TaskUpdater
from a2a.types import Role, Task, TaskState, TaskStatus

from toka.tools.a2a._agent import AgentCall, Output, Progress, Question
from toka.tools.a2a._contents import contents_of, parts_of
from toka.types import TokaError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from a2a.server.events import EventQueue
    from a2a.types import Message, Part

    from toka.tools.a2a._agent import Agent, News
    from toka.tools.a2a._gate import Caller

CALLER: Final = "toka.caller"
"""Where the caller is kept in the state of a call."""

_log = logging.getLogger(__name__)


@attrs.define(eq=False, slots=False)
class NewsExecutor(AgentExecutor):
    """Runs one agent, for a bounded number of tasks at once."""

    agent: Agent
    max_running: int
    _running: int = attrs.field(default=0, init=False)

    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        """Work on one message."""
        task_id, context_id = str(context.task_id), str(context.context_id)
        updater = TaskUpdater(event_queue, task_id, context_id)
        if context.current_task is None:
            await event_queue.enqueue_event(_begun(task_id, context_id, context.message))
        if self._running >= self.max_running:
            await updater.reject(_say(updater, "The agent is busy. Ask again later."))
            return
        self._running += 1
        try:
            await self._work(_call(context, task_id, context_id), updater)
        finally:
            self._running -= 1

    async def _work(self, call: AgentCall, updater: TaskUpdater) -> None:
        await updater.start_work()
        try:
            async with aclosing(self.agent(call)) as news:
                async for one in news:
                    await _publish(updater, one)
                    if isinstance(one, Question):
                        return
        except TokaError as error:
            await updater.failed(_say(updater, str(error)))
        except Exception:  # noqa: BLE001 - the outermost loop of a task, which says what it dropped
            # Whoever asked is told that it failed, and no more.
            _log.exception("The task %s failed.", call.task_id)
            await updater.failed(_say(updater, "The agent failed."))
        else:
            await updater.complete()

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        """Say that a task was cancelled; the SDK has ended its work by then."""
        updater = TaskUpdater(event_queue, str(context.task_id), str(context.context_id))
        await updater.cancel()


def _begun(task_id: str, context_id: str, message: Message | None) -> Task:
    return Task(
        id=task_id,
        context_id=context_id,
        status=TaskStatus(state=TaskState.TASK_STATE_SUBMITTED),
        history=[] if message is None else [message],
    )


def _call(context: RequestContext, task_id: str, context_id: str) -> AgentCall:
    parts: Iterable[Part] = () if context.message is None else context.message.parts
    history: Iterable[Message] = (
        () if context.current_task is None else context.current_task.history
    )
    earlier = [one for one in history if one.role == Role.ROLE_USER and one != context.message]
    caller = cast("Caller", context.call_context.state[CALLER])
    return AgentCall(task_id, context_id, contents_of(parts), caller, len(earlier))


async def _publish(updater: TaskUpdater, news: News) -> None:
    if isinstance(news, Output):
        await updater.add_artifact(parts_of(news.contents), name=news.name or None)
    elif isinstance(news, Progress):
        await updater.start_work(_say(updater, news.text))
    else:
        await updater.requires_input(_say(updater, news.text))


def _say(updater: TaskUpdater, text: str) -> Message:
    return updater.new_agent_message([new_text_part(text)])
