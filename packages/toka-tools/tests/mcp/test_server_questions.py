from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toka.tools import ToolRegistry, tool
from toka.tools.mcp import CannotAskError, ProtocolError
from toka.tools.mcp.server import Question, conversation
from toka.tools.mcp.server._seal import LIFETIME_SECONDS, Seal, request_digest
from toka.types import NANOSECONDS, SystemClock

from .serving import (
    NAME,
    call,
    events_of,
    listening,
    new,
    piped,
    request,
    server_of,
    texts,
)

pytestmark = pytest.mark.anyio

PERSON = {"elicitation": {}}
ANNA = {"who": {"action": "accept", "content": {"name": "Anna"}}}


async def test_a_question_ends_a_round_and_its_answer_begins_the_next() -> None:
    async with listening(server_of()) as web:
        _, first = await web.ask(call(1, "greet", new(PERSON)))
        assert first["result"]["resultType"] == "input_required"
        asked = first["result"]["inputRequests"]["who"]
        assert asked["method"] == "elicitation/create"
        assert asked["params"]["requestedSchema"] == NAME
        again = new(PERSON, inputResponses=ANNA, requestState=first["result"]["requestState"])
        _, second = await web.ask(call(2, "greet", again))
        assert texts(second) == ["Hello, Anna!"]
        assert "requestState" not in second["result"]


async def test_a_question_in_a_session_is_a_request_on_the_stream_of_the_call() -> None:
    async with listening(server_of()) as web:
        headers = {"Mcp-Session-Id": await web.begin(PERSON)}
        async with web.post(call(1, "greet", {}), headers=headers) as response:
            found = events_of(response)
            asked = await anext(found)
            assert asked["method"] == "elicitation/create"
            answer = {"jsonrpc": "2.0", "id": asked["id"], "result": ANNA["who"]}
            assert (await web.ask(answer, headers=headers))[0] == 202
            assert texts(await anext(found)) == ["Hello, Anna!"]


async def test_a_question_over_pipes_is_answered_over_pipes() -> None:
    async with server_of() as server, piped(server) as pipes:
        await pipes.shake_hands(PERSON)
        asked = await pipes.ask(call(1, "greet", {}))
        answer = {"jsonrpc": "2.0", "id": asked["id"], "result": {"action": "decline"}}
        assert texts(await pipes.ask(answer)) == ["decline"]
        asked = await pipes.ask(call(2, "greet", {}))
        broken = {"jsonrpc": "2.0", "id": asked["id"], "error": {"code": 1, "message": "away"}}
        refused = await pipes.ask(broken)
        assert (refused["result"]["isError"], texts(refused)) == (True, ["away"])


async def test_a_client_that_cannot_be_asked_is_told_what_it_lacks() -> None:
    async with listening(server_of()) as web:
        status, answer = await web.ask(call(1, "greet", new()))
        assert (status, answer["error"]["code"]) == (400, -32021)
        assert answer["error"]["data"] == {"requiredCapabilities": {"elicitation": {}}}
        headers = {"Mcp-Session-Id": await web.begin()}
        _, answer = await web.ask(call(1, "greet", {}), headers=headers)
        assert answer["result"]["_meta"]["toka.tools/code"] == CannotAskError.default_code


@pytest.mark.parametrize(
    "answers",
    [
        None,
        [],
        {"who": 12},
        {"who": {"action": "perhaps"}},
        {"who": {"action": "accept", "content": {"name": 7}}},
        {"who": {"action": "accept", "content": {}}},
        {str(number): {} for number in range(100)},
    ],
)
async def test_answers_that_are_none_are_refused(answers: Any) -> None:
    async with listening(server_of()) as web:
        status, answer = await web.ask(call(1, "greet", new(PERSON, inputResponses=answers)))
        assert (status, answer["error"]["code"]) == (400, -32602)


async def test_a_state_is_good_for_the_call_that_it_was_made_for_alone() -> None:
    @tool(side_effect="none")
    async def other() -> str:
        """Ask something else."""
        talk = conversation()
        assert talk is not None
        return str(await talk.ask({"who": Question.form("You?", NAME)}))

    registry = ToolRegistry.of([other])
    async with listening(server_of(registry=registry)) as web, listening(server_of()) as theirs:
        _, mine = await web.ask(call(1, "other", new(PERSON)))
        state = mine["result"]["requestState"]
        for used in (
            {"name": "other", "arguments": {"x": 1}},
            {"name": "other", "state": state + "A"},
        ):
            params = new(
                PERSON,
                arguments=used.get("arguments", {}),
                inputResponses=ANNA,
                requestState=used.get("state", state),
            )
            status, answer = await web.ask(call(2, "other", params))
            assert (status, answer["error"]["code"]) == (400, -32602)
        params = new(PERSON, inputResponses=ANNA, requestState=state)
        assert (await theirs.ask(call(2, "greet", params)))[0] == 400


async def test_every_round_of_a_call_has_one_key() -> None:
    keys: list[str] = []

    @tool(side_effect="none", taints=False)
    async def ask_twice() -> str:
        """Ask two things, one after the other."""
        talk = conversation()
        assert talk is not None
        for name in ("one", "two"):
            await talk.ask({name: Question.form(name, NAME)})
        return "asked"

    class Noting:
        def __getattr__(self, name: str) -> Any:
            return getattr(ask_twice, name)

        async def call(self, arguments: Any, context: Any) -> Any:
            keys.append(context.idempotency_key)
            return await ask_twice.call(arguments, context)

    registry = ToolRegistry.of([Noting()])  # type: ignore[list-item] # pyright: ignore[reportArgumentType] - passes everything on
    async with listening(server_of(registry=registry)) as web:
        params = new(PERSON)
        for name in ("one", "two"):
            _, answer = await web.ask(call(1, "ask_twice", params))
            assert list(answer["result"]["inputRequests"]) == [name]
            params = new(
                PERSON,
                inputResponses={name: ANNA["who"]},
                requestState=answer["result"]["requestState"],
            )
        _, answer = await web.ask(call(1, "ask_twice", params))
        assert texts(answer) == ["asked"]
    assert len(keys) == 3
    assert len(set(keys)) == 1


async def test_a_question_from_within_a_group_of_tasks_ends_the_whole_round() -> None:
    ended: list[str] = []

    @tool(side_effect="none")
    async def grouped() -> None:
        """Ask from one of two tasks."""
        talk = conversation()
        assert talk is not None

        async def linger() -> None:
            try:
                await asyncio.sleep(3_600)
            finally:
                ended.append("linger")

        async with asyncio.TaskGroup() as group:
            group.create_task(linger())
            await asyncio.sleep(0)
            group.create_task(talk.ask({"who": Question.form("Who?", NAME)}))  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - any coroutine
        ended.append("never")

    async with listening(server_of(registry=ToolRegistry.of([grouped]))) as web:
        _, answer = await web.ask(call(1, "grouped", new(PERSON)))
        assert answer["result"]["resultType"] == "input_required"
        await asyncio.sleep(0.01)
    assert ended == ["linger"]


async def test_outside_of_a_server_there_is_nobody_to_talk_to() -> None:
    assert conversation() is None


def test_a_seal_opens_what_it_closed_and_not_for_ever() -> None:
    class Clock(SystemClock):
        time = 0

        def now(self) -> int:
            return self.time

    clock = Clock()
    seal, other = Seal(clock, b"k" * 32), Seal(clock, b"l" * 32)
    digest = request_digest("tools/call", "greet", {})
    closed = seal.close("anna", digest, "key", {"a": 1})
    assert seal.open(closed, "anna", digest).answers == {"a": 1}
    assert Seal(clock, b"k" * 32).open(closed, "anna", digest).idempotency_key == "key"
    for opened in (
        lambda: seal.open(closed, "bert", digest),
        lambda: seal.open(closed, "anna", request_digest("tools/call", "greet", {"a": 1})),
        lambda: other.open(closed, "anna", digest),
        lambda: seal.open(None, "anna", digest),
    ):
        with pytest.raises(ProtocolError, match="not accepted"):
            opened()
    clock.time = LIFETIME_SECONDS * NANOSECONDS
    with pytest.raises(ProtocolError, match="not accepted"):
        seal.open(closed, "anna", digest)
    with pytest.raises(ValueError, match="32 bytes"):
        Seal(clock, b"short")


@given(position=st.integers(min_value=0), bit=st.integers(0, 7))
def test_a_state_with_any_bit_changed_is_refused(position: int, bit: int) -> None:
    seal, digest = Seal(SystemClock(), b"k" * 32), b"digest"
    raw = bytearray(base64.urlsafe_b64decode(seal.close("anna", digest, "key", {"a": 1})))
    raw[position % len(raw)] ^= 1 << bit
    with pytest.raises(ProtocolError, match="not accepted"):
        seal.open(base64.urlsafe_b64encode(raw).decode(), "anna", digest)


@given(st.text() | st.binary().map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_text_that_is_no_state_is_refused(text: str) -> None:
    with pytest.raises(ProtocolError, match="not accepted"):
        Seal(SystemClock(), b"k" * 32).open(text, "anna", b"digest")


async def test_a_log_message_is_sent_to_who_wants_such_as_important() -> None:
    @tool(side_effect="none", taints=False)
    async def talkative() -> str:
        """Log twice."""
        talk = conversation()
        assert talk is not None
        await talk.log("debug", "small", "x")
        await talk.log("error", {"big": True})
        return "logged"

    async with server_of(registry=ToolRegistry.of([talkative])) as server, piped(server) as pipes:
        assert texts(await pipes.ask(call(1, "talkative", new()))) == ["logged"]
        level = new(meta={"io.modelcontextprotocol/logLevel": "warning"})
        told = await pipes.ask(call(2, "talkative", level))
        assert told["params"] == {"level": "error", "data": {"big": True}}
        assert texts(await pipes.receive()) == ["logged"]
        await pipes.shake_hands()
        wrong = await pipes.ask(request(3, "logging/setLevel", {"level": "loud"}))
        assert wrong["error"]["code"] == -32602
        assert (await pipes.ask(request(4, "logging/setLevel", {"level": "error"})))["result"] == {}
        assert (await pipes.ask(call(5, "talkative", {})))["params"]["level"] == "error"
        assert texts(await pipes.receive()) == ["logged"]


async def test_the_built_in_tool_asks_whoever_sits_at_the_client() -> None:
    from toka.tools.builtin._ask_person import AskPerson  # noqa: PLC0415 - here alone

    server = server_of("person:ask:operator", registry=ToolRegistry.of([AskPerson()]))
    arguments = {"question": "Red or blue?", "choices": ["red", "blue"]}
    async with listening(server) as web:
        _, asked = await web.ask(call(1, "ask_person", new(PERSON, arguments=arguments)))
        ((key, form),) = asked["result"]["inputRequests"].items()
        field = form["params"]["requestedSchema"]["properties"]["answer"]
        assert field == {"type": "string", "enum": ["red", "blue"]}
        for action, content in (("accept", {"answer": "red"}), ("decline", None)):
            given = {key: {"action": action, **({"content": content} if content else {})}}
            state = asked["result"]["requestState"]
            again = new(PERSON, arguments=arguments, inputResponses=given, requestState=state)
            _, answer = await web.ask(call(2, "ask_person", again))
            if content:
                assert answer["result"]["structuredContent"]["answer"] == "red"
            else:
                assert texts(answer) == ["They declined to answer."]
        _, nobody = await web.ask(call(3, "ask_person", new(arguments=arguments)))
        assert nobody["result"]["isError"] is True
