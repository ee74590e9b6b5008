"""Our agents, called by the official SDK's client as it is."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest
from a2a.client import ClientConfig, ClientFactory, create_client
from a2a.client.card_resolver import A2ACardResolver
from a2a.helpers import new_data_part, new_raw_part, new_text_part
from a2a.server.context import ServerCallContext
from a2a.types import (
    CancelTaskRequest,
    GetTaskRequest,
    ListTasksRequest,
    Message,
    PushNotificationNotSupportedError,
    Role,
    SendMessageRequest,
    SubscribeToTaskRequest,
    Task,
    TaskNotCancelableError,
    TaskNotFoundError,
    TaskPushNotificationConfig,
    TaskState,
    TaskStatus,
)
from google.protobuf.json_format import MessageToDict

from toka.tools.a2a import AgentOptions, Content, Output, Progress, Question, TokenGate, agent_app
from toka.tools.a2a._server import _CallerUser
from toka.tools.a2a._store import BoundedTaskStore
from toka.types import TokaError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from a2a.client import Client

    from toka.tools.a2a import AgentCall, News

pytestmark = pytest.mark.anyio

STATES = {
    TaskState.Value(name): name.removeprefix("TASK_STATE_").lower()
    for name in TaskState.keys()  # noqa: SIM118 - of an enum
}


class Helper:
    """An agent that does what its message says."""

    def __init__(self) -> None:
        self.calls: list[AgentCall] = []
        self.awaited = 1
        self.waiting = anyio.Event()
        self.ended = anyio.Event()

    async def __call__(self, call: AgentCall, /) -> AsyncGenerator[News]:
        self.calls.append(call)
        yield Progress("thinking")
        if call.text == "wait":
            if len(self.calls) >= self.awaited:
                self.waiting.set()
            try:
                await anyio.sleep(60)
            finally:
                self.ended.set()
        if call.text == "which":
            yield Question("This or that?")
            raise AssertionError("nobody asks for what comes after a question")
        if call.text == "refuse":
            raise TokaError("That is not for you.", hint="Ask for something else.")
        if call.text == "break":
            raise ValueError("the password is s3cr3t")
        if call.text == "more":
            yield Output((Content(data={"n": [1, 2.5]}), Content(raw=b"\0", name="a.bin")), "more")
        yield Output.of(f"{call.caller.name} said {call.text}", "reply")


@pytest.fixture
def helper() -> Helper:
    return Helper()


@pytest.fixture
async def url(serving, helper, validate) -> AsyncGenerator[str]:
    gate = TokenGate(validate, "agent:message:helper")

    def make(url: str) -> Any:
        limits: dict[str, Any] = {"max_body_bytes": 50_000, "max_running": 2, "max_kept": 3}
        limits["max_kept_bytes"] = 200_000
        options = AgentOptions(name="Helper", description="Helps.", url=f"{url}/", **limits)
        return agent_app(helper, gate, options)

    async with serving(make) as served:
        yield served


@asynccontextmanager
async def connected(
    url: str,
    token: str = "ann",  # noqa: S107 - of this test
    *,
    version: str = "",
    **config: Any,
) -> AsyncGenerator[Client]:
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(headers=headers, timeout=20) as http:
        configured = ClientConfig(httpx_client=http, **config)
        if not version:
            yield await create_client(url, configured)
            return
        card = await A2ACardResolver(http, url).get_agent_card()
        kept = [one for one in card.supported_interfaces if one.protocol_version == version]
        del card.supported_interfaces[:]
        card.supported_interfaces.extend(kept)
        yield ClientFactory(configured).create(card)


def message(*parts: Any, **ids: str) -> SendMessageRequest:
    made = [new_text_part(part) if isinstance(part, str) else part for part in parts]
    said = Message(message_id="m", role=Role.ROLE_USER, parts=made)
    said.task_id, said.context_id = ids.get("task_id", ""), ids.get("context_id", "")
    return SendMessageRequest(message=said)


async def send(client: Client, *parts: Any, **ids: str) -> Task:
    (answer,) = [each async for each in client.send_message(message(*parts, **ids))]
    return answer.task


def state(task: Task) -> str:
    return STATES[task.status.state]


async def test_the_card_is_for_everybody_and_says_what_is_needed(url) -> None:
    async with httpx.AsyncClient() as http:
        card = (await http.get(f"{url}/.well-known/agent-card.json")).json()
    assert card["name"] == "Helper"
    assert [(one["url"], one["protocolVersion"]) for one in card["supportedInterfaces"]] == [
        (f"{url}/", "1.0"),
        (f"{url}/", "0.3"),
    ]
    assert card["capabilities"]["streaming"] is True
    assert "capability" in card["securitySchemes"]
    assert card["securityRequirements"] == [{"schemes": {"capability": {}}}]


@pytest.mark.parametrize("version", ["1.0", "0.3"])
async def test_a_message_becomes_a_task_with_its_artifact(url, helper, version) -> None:
    async with connected(url, streaming=False, version=version) as client:
        task = await send(client, "hello")
        again = await client.get_task(GetTaskRequest(id=task.id))
    assert (state(task), state(again)) == ("completed", "completed")
    assert [(one.name, one.parts[0].text) for one in again.artifacts] == [
        ("reply", "default/ann said hello")
    ]
    assert helper.calls[0].caller.token == "ann"  # noqa: S105 - of this test
    assert helper.calls[0].caller.claims.subject == "ann"


@pytest.mark.parametrize("version", ["1.0", "0.3"])
async def test_news_are_streamed_as_they_come(url, version) -> None:
    async with connected(url, version=version) as client:
        events = [each async for each in client.send_message(message("hello"))]
    told = [
        STATES[each.status_update.status.state]
        if each.HasField("status_update")
        else str(each.WhichOneof("payload"))
        for each in events
    ]
    assert told == ["task", "working", "working", "artifact_update", "completed"]
    assert events[2].status_update.status.message.parts[0].text == "thinking"


async def test_data_and_bytes_go_both_ways(url, helper) -> None:
    data = {"n": [1, 2.5, None], "s": "é"}
    async with connected(url, streaming=False) as client:
        parts = (new_data_part(data), new_raw_part(b"\xff", filename="x.bin"), "more")
        task = await send(client, *parts)
    assert helper.calls[0].contents == (
        Content(data=data),
        Content(raw=b"\xff", name="x.bin"),
        Content(text="more"),
    )
    first, second = task.artifacts[0].parts
    assert MessageToDict(first.data) == {"n": [1, 2.5]}
    assert (second.raw, second.filename) == (b"\0", "a.bin")


async def test_a_question_waits_for_its_answer(url, helper) -> None:
    async with connected(url, streaming=False) as client:
        asked = await send(client, "which")
        assert state(asked) == "input_required"
        assert asked.status.message.parts[0].text == "This or that?"
        done = await send(client, "this", task_id=asked.id, context_id=asked.context_id)
    assert (state(done), done.id) == ("completed", asked.id)
    assert [call.turn for call in helper.calls] == [0, 1]
    assert helper.calls[1].context_id == asked.context_id


@pytest.mark.parametrize("version", ["1.0", "0.3"])
async def test_a_task_is_cancelled_where_it_waits(url, helper, version) -> None:
    async with connected(url, streaming=False, polling=True, version=version) as client:
        task = await send(client, "wait")
        await helper.waiting.wait()
        cancelled = await client.cancel_task(CancelTaskRequest(id=task.id))
        with anyio.fail_after(5):
            await helper.ended.wait()
        assert state(cancelled) == "canceled"
        with pytest.raises(TaskNotCancelableError):
            await client.cancel_task(CancelTaskRequest(id=task.id))


async def test_an_error_with_a_text_for_people_is_told(url) -> None:
    async with connected(url, streaming=False) as client:
        task = await send(client, "refuse")
    assert state(task) == "failed"
    said = task.status.message.parts[0].text
    assert said == "That is not for you. Ask for something else."


async def test_any_other_error_is_not_told(url, caplog) -> None:
    async with connected(url, streaming=False) as client:
        task = await send(client, "break")
    assert state(task) == "failed"
    assert "s3cr3t" not in str(task)
    assert task.status.message.parts[0].text == "The agent failed."
    assert "s3cr3t" in caplog.text


async def test_a_busy_agent_rejects(url, helper) -> None:
    helper.awaited = 2
    async with connected(url, streaming=False, polling=True) as client:
        tasks = [await send(client, "wait") for _ in range(2)]
        await helper.waiting.wait()
        assert state(await _ended(client, (await send(client, "hello")).id)) == "rejected"
        for task in tasks:
            await client.cancel_task(CancelTaskRequest(id=task.id))
        assert state(await _ended(client, (await send(client, "hello")).id)) == "completed"


async def _ended(client: Client, task_id: str) -> Task:
    with anyio.fail_after(5):
        while True:
            task = await client.get_task(GetTaskRequest(id=task_id))
            if state(task) not in ("submitted", "working"):
                return task
            await anyio.sleep(0.005)


async def test_ended_tasks_are_forgotten_in_order(url) -> None:
    async with connected(url, streaming=False) as client:
        tasks = [await send(client, str(number)) for number in range(5)]
        with pytest.raises(TaskNotFoundError):
            await client.get_task(GetTaskRequest(id=tasks[0].id))
        listed = await client.list_tasks(ListTasksRequest())
    assert {task.id for task in listed.tasks} == {task.id for task in tasks[2:]}


async def test_tasks_whose_question_nobody_answers_are_forgotten_too(url) -> None:
    async with connected(url, streaming=False) as client:
        asked = [await send(client, "which") for _ in range(4)]
        with pytest.raises(TaskNotFoundError):
            await send(client, "this", task_id=asked[0].id, context_id=asked[0].context_id)
        again = await send(client, "this", task_id=asked[1].id, context_id=asked[1].context_id)
        assert state(again) == "completed"


async def test_large_tasks_are_forgotten_sooner_but_never_the_last(url) -> None:
    async with connected(url, streaming=False) as client:
        # Each is kept twice over: as what was said, and in the answer.
        small, *large = [await send(client, "x" * size) for size in (10, 45_000, 45_000, 45_000)]
        for gone in (small, large[0]):
            with pytest.raises(TaskNotFoundError):
                await client.get_task(GetTaskRequest(id=gone.id))
        listed = await client.list_tasks(ListTasksRequest())
    assert {task.id for task in listed.tasks} == {task.id for task in large[1:]}

    store, context = BoundedTaskStore(3, 10), ServerCallContext(user=_CallerUser("ann"))
    for number in range(3):
        task = Task(id=f"t{number}", status=TaskStatus(state=TaskState.TASK_STATE_COMPLETED))
        await store.save(task, context)
        await store.save(task, context)
    assert [await store.get(f"t{number}", context) is None for number in range(3)] == [
        True,
        True,
        False,
    ]


async def test_what_one_caller_begins_has_no_task_of_another_forgotten(url) -> None:
    async with connected(url, streaming=False) as ann:
        task = await send(ann, "hello")
        async with connected(url, "ben", streaming=False) as ben:
            for _ in range(4):
                await send(ben, "hello")
        assert state(await ann.get_task(GetTaskRequest(id=task.id))) == "completed"


async def test_another_caller_finds_nothing(url, helper) -> None:
    async with connected(url, streaming=False, polling=True) as ann:
        task = await send(ann, "wait")
        await helper.waiting.wait()
        async with connected(url, "ben") as ben:
            assert not (await ben.list_tasks(ListTasksRequest())).tasks
            for attempt in (
                ben.get_task(GetTaskRequest(id=task.id)),
                ben.cancel_task(CancelTaskRequest(id=task.id)),
                send(ben, "mine now", task_id=task.id, context_id=task.context_id),
                anext(aiter(ben.subscribe(SubscribeToTaskRequest(id=task.id)))),
            ):
                with pytest.raises(TaskNotFoundError):
                    await attempt
        assert state(await ann.get_task(GetTaskRequest(id=task.id))) == "working"
        await ann.cancel_task(CancelTaskRequest(id=task.id))


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 401, "tools.a2a_refused"),
        ({"Authorization": "Basic YTpi"}, 401, "tools.a2a_refused"),
        ({"Authorization": "Bearer"}, 401, "tools.a2a_refused"),
        ({"Authorization": "Bearer forged"}, 401, "tools.a2a_refused"),
        ({"Authorization": "Bearer foreign"}, 401, "tools.a2a_refused"),
        ({"Authorization": "Bearer rich"}, 401, "tools.a2a_refused"),
        ({"Authorization": "Bearer bound"}, 401, "tools.a2a_refused"),
        ({"Authorization": "Bearer reader"}, 403, "tools.a2a_not_granted"),
    ],
)
async def test_nobody_comes_in_without_a_token_that_says_so(
    url, helper, headers, status, code
) -> None:
    async with httpx.AsyncClient() as http:
        for path in ("/", "/anything", "/.well-known/agent-card.json/../"):
            answer = await http.post(f"{url}{path}", headers=headers, json={"method": "x"})
            assert (answer.status_code, answer.json()["code"]) == (status, code)
            assert answer.headers["www-authenticate"].startswith("Bearer")
    assert helper.calls == []


async def test_a_body_has_a_length(url) -> None:
    async def endless() -> AsyncGenerator[bytes]:
        for _ in range(1_000):
            yield b"x" * 1_000

    headers = {"Authorization": "Bearer ann"}
    async with httpx.AsyncClient(headers=headers) as http:
        assert (await http.post(url, content=b"x" * 60_000)).status_code == 413
        assert (await http.post(url, content=endless())).status_code == 413


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b'{"jsonrpc":"2.0","id":1,"method":"Nothing"}',
        b'{"jsonrpc":"2.0","id":1,"method":"SendMessage","params":{"message":{}}}',
        b'{"jsonrpc":"2.0","id":1,"method":"GetTask","params":[1]}',
        b"[" * 40_000,
    ],
)
async def test_a_bad_body_is_answered_with_an_error(url, helper, body) -> None:
    headers = {"Authorization": "Bearer ann", "A2A-Version": "1.0"}
    async with httpx.AsyncClient(headers=headers) as http:
        answer = await http.post(url, content=body)
    assert answer.status_code in (200, 400)
    assert answer.json()["error"]["code"] < 0
    assert helper.calls == []


async def test_no_caller_chooses_where_this_server_sends_requests(url) -> None:
    async with connected(url, streaming=False) as client:
        task = await send(client, "hello")
        wanted = TaskPushNotificationConfig(task_id=task.id, url="http://169.254.169.254/")
        with pytest.raises(PushNotificationNotSupportedError):
            await client.create_task_push_notification_config(wanted)


async def test_a_caller_that_goes_away_leaves_its_task_to_be_found(url, helper) -> None:
    async with connected(url) as client:
        events = aiter(client.send_message(message("wait")))
        task = (await anext(events)).task
        await helper.waiting.wait()
        await asyncio.wait_for(events.aclose(), 5)  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue] - a generator
    async with connected(url, streaming=False) as client:
        assert state(await client.get_task(GetTaskRequest(id=task.id))) == "working"
        await client.cancel_task(CancelTaskRequest(id=task.id))
