from __future__ import annotations

import asyncio
from typing import Any

import attrs
import pytest

from toka.capability.core import Claims, Denial, TokenRefusedError
from toka.tools import ToolRegistry, tool
from toka.tools.mcp.server import NotAdmittedError, TokenGate, _server

from .serving import (
    NEW,
    OLD,
    TASKS,
    Web,
    call,
    listening,
    new,
    piped,
    request,
    server_of,
    texts,
    until,
)

pytestmark = pytest.mark.anyio

TOKENS = {
    "anna": Claims("anna", "toka", ("vault:read:a",), 0, 1, "1"),
    "anna-wide": Claims("anna", "toka", ("vault:read:**",), 0, 1, "2"),
    "bert": Claims("bert", "toka", (), 0, 1, "3"),
    "stranger": Claims("anna", "elsewhere", ("vault:read:**",), 0, 1, "4"),
    "payer": Claims("anna", "toka", ("vault:read:**",), 0, 1, "5", budget=(("calls", 1),)),
    "bound": Claims("anna", "toka", ("vault:read:**",), 0, 1, "7", holder="k" * 43),
    "guarded": Claims("anna", "toka", (), 0, 1, "6", untainted=("vault:read:a",)),
}


def authenticate(token: str) -> Claims:
    if token not in TOKENS:
        raise TokenRefusedError.of(Denial("capability.unknown", "no such token"))
    return TOKENS[token]


GATE = TokenGate(authenticate)


def bearer(token: str, **more: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", **more}


def secret(name: str) -> dict[str, object]:
    return call(1, "secret", new(arguments={"name": name}))


async def test_a_call_is_allowed_what_its_token_grants_and_not_what_the_server_is() -> None:
    async with listening(server_of("vault:read:**"), gate=GATE) as web:
        _, allowed = await web.ask(secret("a"), headers=bearer("anna"))
        assert texts(allowed) == ["a is well"]
        assert allowed["result"]["_meta"] == {"toka.tools/tainted": True}
        for token, name in (("anna", "b"), ("bert", "a"), ("guarded", "a")):
            _, refused = await web.ask(secret(name), headers=bearer(token))
            assert refused["result"] == {
                "resultType": "complete",
                "content": [{"type": "text", "text": "The call is not allowed."}],
                "isError": True,
                "_meta": {"toka.tools/code": "tools.access_denied"},
            }


async def test_what_was_missing_is_said_where_that_is_wanted() -> None:
    async with listening(server_of(explain_refusals=True), gate=GATE) as web:
        _, refused = await web.ask(secret("b"), headers=bearer("anna"))
        assert "vault:read:b" in texts(refused)[0]


@pytest.mark.parametrize(
    ("headers", "challenge"),
    [
        ({}, ""),
        ({"Authorization": "Basic YTpi"}, ""),
        ({"Authorization": "Bearer"}, ""),
        ({"Authorization": "Bearer nobody"}, ', error="invalid_token"'),
        ({"Authorization": "Bearer stranger"}, ', error="invalid_token"'),
        ({"Authorization": "Bearer payer"}, ', error="invalid_token"'),
        ({"Authorization": "Bearer bound"}, ', error="invalid_token"'),
    ],
)
async def test_without_a_token_that_is_accepted_there_is_401_and_a_way_to_one(
    headers: dict[str, str], challenge: str
) -> None:
    servers = ("https://login.example",)
    async with listening(server_of(), gate=GATE, authorization_servers=servers) as web:
        async with web.post(secret("a"), headers=headers) as response:
            assert response.status == 401
            known = web.url.replace("/mcp", "/.well-known/oauth-protected-resource/mcp")
            said = response.headers["WWW-Authenticate"]
            assert said == f'Bearer resource_metadata="{known}"{challenge}'
        async with web.http.get(known) as response:
            assert await response.json() == {
                "resource": web.url,
                "authorization_servers": ["https://login.example"],
                "bearer_methods_supported": ["header"],
            }


async def test_nobody_takes_the_share_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_server, "MAX_RUNNING_OF_ONE", 2)
    go = asyncio.Event()

    @tool(side_effect="none", taints=False)
    async def stay() -> str:
        """Stay until there is a word."""
        await go.wait()
        return "gone"

    server = server_of(registry=ToolRegistry.of([stay]), patience_ns=None)
    async with listening(server, gate=GATE) as web, asyncio.TaskGroup() as group:

        def begin(token: str) -> asyncio.Task[tuple[int, Any]]:
            message = call(1, "stay", new())
            return group.create_task(web.ask(message, headers=bearer(token)))

        waiting = [begin("anna"), begin("anna-wide")]
        await until(lambda: server.running == 2)
        _, refused = await begin("anna")
        assert "for you" in refused["error"]["message"]
        # What takes a moment is answered all the same, and so is anything of somebody else.
        _, listed = await web.ask(request(2, "tools/list", new()), headers=bearer("anna"))
        assert "result" in listed
        waiting.append(begin("bert"))
        await until(lambda: server.running == 3)
        go.set()
        for _, answer in await asyncio.gather(*waiting):
            assert texts(answer) == ["gone"]
        _, again = await begin("anna")
        assert texts(again) == ["gone"]
        assert not server._shares


async def test_two_tokens_at_once_are_none() -> None:
    async with listening(server_of(), gate=GATE) as web:
        headers = [
            ("Content-Type", "application/json"),
            ("Authorization", "Bearer anna"),
            ("Authorization", "Bearer bert"),
        ]
        async with web.http.post(web.url, data=b"{}", headers=headers) as response:
            assert response.status == 401


async def test_a_server_behind_a_proxy_is_called_what_clients_call_it() -> None:
    public = "https://tools.example/mcp"
    async with listening(server_of(), gate=GATE, public_url=public) as web:
        local = Web("", web.http)
        assert web.url == public
        assert local.url == ""


async def test_a_session_belongs_to_the_subject_that_began_it() -> None:
    async with listening(server_of(), gate=GATE) as web:
        session = await web.begin(None, **bearer("anna"))
        headers = {"Mcp-Session-Id": session, "MCP-Protocol-Version": OLD}
        message = call(1, "secret", {"arguments": {"name": "b"}})
        status, narrow = await web.ask(message, headers=bearer("anna", **headers))
        assert (status, narrow["result"]["isError"]) == (200, True)
        _, wide = await web.ask(message, headers=bearer("anna-wide", **headers))
        assert texts(wide) == ["b is well"]
        assert (await web.ask(message, headers=bearer("bert", **headers)))[0] == 404
        async with web.http.delete(web.url, headers=bearer("bert", **headers)) as response:
            assert response.status == 404


async def test_a_task_and_a_state_belong_to_the_subject_that_made_them() -> None:
    person = {**TASKS, "elicitation": {}}
    async with listening(server_of(patience_ns=1), gate=GATE) as web:
        message = call(1, "wait", new(TASKS, arguments={"seconds": 300}))
        _, made = await web.ask(message, headers=bearer("anna"))
        get = request(2, "tasks/get", new(TASKS, taskId=made["result"]["taskId"]))
        assert (await web.ask(get, headers=bearer("anna")))[0] == 200
        assert (await web.ask(get, headers=bearer("bert")))[1]["error"]["code"] == -32602
    async with listening(server_of(), gate=GATE) as web:
        _, asked = await web.ask(call(1, "greet", new(person)), headers=bearer("anna"))
        answers = {"who": {"action": "decline"}}
        params = new(person, inputResponses=answers, requestState=asked["result"]["requestState"])
        again = call(2, "greet", params)
        assert texts((await web.ask(again, headers=bearer("anna")))[1]) == ["decline"]
        assert (await web.ask(again, headers=bearer("bert")))[1]["error"]["code"] == -32602


async def test_only_what_a_token_could_call_is_listed_where_that_can_be_told() -> None:
    from toka.tools import ToolRegistry, tool  # noqa: PLC0415 - shadowed names elsewhere

    @tool(side_effect="none", requests=lambda _, __: ["vault:open:door"])
    async def door() -> str:
        """Open the door."""
        return "open"

    registry = ToolRegistry.of([door])
    async with listening(server_of("vault:open:door", registry=registry), gate=GATE) as web:
        message = request(1, "tools/list", new())
        _, listed = await web.ask(message, headers=bearer("anna"))
        assert listed["result"]["tools"] == []
        assert listed["result"]["cacheScope"] == "private"
        _, called = await web.ask(call(1, "door", new()), headers=bearer("anna"))
        assert texts(called) == ["The call is not allowed."]


async def test_a_token_from_the_environment_is_checked_at_each_call_over_pipes() -> None:
    accepted = dict(TOKENS)

    def known(token: str) -> Claims:
        if token not in accepted:
            raise TokenRefusedError.of(Denial("capability.expired"))
        return accepted[token]

    server = server_of()
    async with server, piped(server, gate=TokenGate(known), credential="anna") as pipes:
        assert texts(await pipes.ask(secret("a"))) == ["a is well"]
        del accepted["anna"]
        error = (await pipes.ask(secret("a")))["error"]
        assert error == {"code": -32011, "message": "The token is not accepted."}


async def test_without_a_token_that_is_accepted_nothing_is_served_over_pipes() -> None:
    from toka.tools.mcp.server import serve_stdio  # noqa: PLC0415 - here alone

    async with server_of() as server:
        for credential in (None, "nobody"):
            with pytest.raises(NotAdmittedError):
                await serve_stdio(server, gate=GATE, credential=credential)


async def test_a_tool_that_says_its_actions_is_listed_by_their_domain() -> None:
    from toka.tools import FunctionTool, ToolRegistry  # noqa: PLC0415 - here alone

    from .serving import secret as plain  # noqa: PLC0415

    class Kinded(FunctionTool):
        """Says what it needs."""

        actions = ("vault:read", "vault:write")

    fields = attrs.fields(FunctionTool)
    kinded = Kinded(**{each.alias: getattr(plain, each.name) for each in fields})
    async with listening(server_of(registry=ToolRegistry.of([kinded])), gate=GATE) as web:
        listed: dict[str, int] = {}
        for token in ("anna", "bert"):
            message = request(1, "tools/list", new())
            _, answer = await web.ask(message, headers=bearer(token))
            listed[token] = len(answer["result"]["tools"])
        assert listed == {"anna": 1, "bert": 0}


def test_a_principal_shows_no_permissions() -> None:
    principal = GATE.admit("anna")
    assert repr(principal) == "Principal(name='toka/anna')"
    assert NEW
