from __future__ import annotations

import asyncio
from typing import Any

import pytest

from toka.tools import ToolError, ToolRegistry, tool
from toka.tools.mcp import ProtocolError
from toka.tools.mcp.server import Question, conversation
from toka.tools.mcp.server._principals import Principal
from toka.tools.mcp.server._tasks import LIFETIME_MS, TaskBoard, TooManyTasksError

from .serving import (
    NAME,
    TASKS,
    Web,
    call,
    events_of,
    listening,
    new,
    request,
    server_of,
    texts,
)
from .test_server_sessions import HandClock

pytestmark = pytest.mark.anyio

ASKABLE = {**TASKS, "elicitation": {}}


async def get(web: Web, task_id: str) -> dict[str, Any]:
    _, answer = await web.ask(request(9, "tasks/get", new(TASKS, taskId=task_id)))
    return answer["result"]


async def until(web: Web, task_id: str, *statuses: str) -> dict[str, Any]:
    async with asyncio.timeout(10):
        found = await get(web, task_id)
        while found["status"] not in statuses:
            await asyncio.sleep(0.01)
            found = await get(web, task_id)
    return found


async def test_a_call_that_takes_long_becomes_a_task() -> None:
    async with listening(server_of(patience_ns=10_000_000)) as web:
        _, made = await web.ask(call(1, "wait", new(TASKS, arguments={"seconds": 0.2})))
        made = made["result"]
        assert made["resultType"] == "task"
        assert made["status"] == "working"
        assert "result" not in made
        done = await until(web, made["taskId"], "completed")
        assert done["resultType"] == "complete"
        assert done["result"]["content"] == [{"type": "text", "text": "waited"}]


async def test_a_call_that_is_quick_and_a_client_without_tasks_get_the_result() -> None:
    async with listening(server_of(patience_ns=10_000_000)) as web:
        for params in (
            new(TASKS, arguments={"seconds": 0}),
            new(arguments={"seconds": 0.1}),
        ):
            _, answer = await web.ask(call(1, "wait", params))
            assert texts(answer) == ["waited"]


async def test_a_task_is_cancelled_once_and_for_all() -> None:
    server = server_of(patience_ns=1)
    async with listening(server) as web:
        _, made = await web.ask(call(1, "wait", new(TASKS, arguments={"seconds": 300})))
        task_id = made["result"]["taskId"]
        for _ in range(2):
            _, answer = await web.ask(request(2, "tasks/cancel", new(TASKS, taskId=task_id)))
            assert answer["result"] == {"resultType": "complete"}
        assert (await get(web, task_id))["status"] == "cancelled"
        assert server.running == 0


@tool(side_effect="none", taints=False)
async def asking() -> str:
    """Go on as a task, and ask two things."""
    talk = conversation()
    assert talk is not None
    await talk.detach(required=True)
    form = Question.form("Name?", NAME)
    answers = await talk.ask({"one": form, "two": form})
    return ", ".join(str(each["content"]) for each in answers.values())


async def test_a_task_takes_its_answers_one_by_one() -> None:
    async with listening(server_of(registry=ToolRegistry.of([asking]))) as web:
        _, made = await web.ask(call(1, "asking", new(ASKABLE)))
        task_id = made["result"]["taskId"]
        waiting = await until(web, task_id, "input_required")
        first, second = waiting["inputRequests"]

        async def update(key: str, answer: Any) -> Any:
            params = new(TASKS, taskId=task_id, inputResponses={key: answer, "unknown": {}})
            return (await web.ask(request(2, "tasks/update", params)))[1]

        assert (await update(first, "no answer"))["error"]["code"] == -32602
        anna = {"action": "accept", "content": {"name": "Anna"}}
        assert (await update(first, anna))["result"] == {"resultType": "complete"}
        assert list((await get(web, task_id))["inputRequests"]) == [second]
        await update(first, {"action": "decline"})  # answered already: ignored
        await update(second, anna)
        done = await until(web, task_id, "completed")
        assert done["result"]["content"][0]["text"] == "{'name': 'Anna'}, {'name': 'Anna'}"


async def test_a_client_without_tasks_cannot_call_what_needs_one() -> None:
    async with listening(server_of(registry=ToolRegistry.of([asking]))) as web:
        status, answer = await web.ask(call(1, "asking", new()))
        assert (status, answer["error"]["code"]) == (400, -32021)
        for method in ("tasks/get", "tasks/update", "tasks/cancel"):
            _, answer = await web.ask(request(1, method, new(taskId="x", inputResponses={})))
            assert answer["error"]["code"] == -32021


async def test_a_task_ends_as_its_call_would_have() -> None:
    @tool(side_effect="none")
    async def breaks(how: str) -> None:
        """Fail in one way or another."""
        talk = conversation()
        assert talk is not None
        await talk.detach()
        if how == "tool":
            raise ToolError("It went wrong.")
        if how == "protocol":
            raise ProtocolError("It broke.", -32603)
        raise RuntimeError("inside")

    async with listening(server_of(registry=ToolRegistry.of([breaks]))) as web:
        found: dict[str, dict[str, Any]] = {}
        for how in ("tool", "protocol", "bug"):
            _, made = await web.ask(call(1, "breaks", new(TASKS, arguments={"how": how})))
            task_id = made["result"]["taskId"]
            found[how] = await until(web, task_id, "completed", "failed")
        assert found["tool"]["result"]["isError"] is True
        assert found["protocol"]["error"] == {"code": -32603, "message": "It broke."}
        assert found["bug"]["error"]["message"] == "Something failed here."


async def test_a_subscription_hears_of_ones_own_tasks() -> None:
    async with listening(server_of(patience_ns=1)) as web:
        _, made = await web.ask(call(1, "wait", new(TASKS, arguments={"seconds": 300})))
        task_id = made["result"]["taskId"]
        wanted = {"taskIds": [task_id, "another"]}
        lacking = await web.ask(request(2, "subscriptions/listen", new(notifications=wanted)))
        assert lacking[1]["error"]["code"] == -32021
        listen = request(3, "subscriptions/listen", new(TASKS, notifications=wanted))
        async with web.post(listen) as heard:
            events = events_of(heard)
            acknowledged = await anext(events)
            assert acknowledged["params"]["notifications"] == {"taskIds": [task_id]}
            await web.ask(request(4, "tasks/cancel", new(TASKS, taskId=task_id)))
            changed = await anext(events)
            assert changed["method"] == "notifications/tasks"
            assert changed["params"]["status"] == "cancelled"


def board(**limits: int) -> tuple[HandClock, TaskBoard]:
    clock = HandClock()
    return clock, TaskBoard(clock, lambda _: None, **limits)


def test_a_task_is_nobodys_but_its_principals_and_not_for_ever() -> None:
    clock, tasks = board()
    anna, bert = Principal("anna"), Principal("bert")
    task = tasks.create(anna, None)
    assert tasks.find(task.id, anna) is task
    for task_id, who in ((task.id, bert), ("x", anna), (None, anna)):
        with pytest.raises(ProtocolError, match="no such task"):
            tasks.find(task_id, who)
    clock.time += LIFETIME_MS * 1_000_000
    with pytest.raises(ProtocolError, match="no such task"):
        tasks.find(task.id, anna)
    assert len(tasks) == 0


def test_one_principal_has_so_many_tasks_that_are_not_over() -> None:
    _, tasks = board(limit_of_one=2)
    anna = Principal("anna")
    first = tasks.create(anna, None)
    tasks.create(anna, None)
    with pytest.raises(TooManyTasksError):
        tasks.create(anna, None)
    tasks.create(Principal("bert"), None)
    first.cancel()
    tasks.create(anna, None)
    assert not tasks.has(first.id, anna)


def test_the_last_status_of_a_task_is_the_last() -> None:
    _, tasks = board()
    task = tasks.create(Principal("anna"), None)
    task.complete({"content": []})
    task.cancel()
    task.fail(ProtocolError("late"))
    assert task.details()["status"] == "completed"
