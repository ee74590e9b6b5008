from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
from typing import Any

import pytest

from toka.tools.mcp._messages import MAX_MESSAGE_BYTES

from .serving import NEW, OLD, TASKS, call, new, piped, request, server_of, texts

pytestmark = pytest.mark.anyio


async def test_a_tool_is_called_in_either_era_on_one_pair_of_pipes() -> None:
    async with server_of() as server, piped(server) as pipes:
        modern = await pipes.ask(call(1, "add", new(arguments={"first": 2})))
        assert modern["result"] == {
            "content": [{"type": "text", "text": "3"}],
            "structuredContent": 3,
            "resultType": "complete",
        }
        assert (await pipes.shake_hands())["result"]["protocolVersion"] == OLD
        old = await pipes.ask(call(2, "add", {"arguments": {"first": 2}}))
        assert old["result"] == {"content": [{"type": "text", "text": "3"}]}
        again = await pipes.ask(call(3, "add", new(arguments={"first": 3})))
        assert again["result"]["structuredContent"] == 4


async def test_an_unknown_revision_is_answered_with_the_latest_of_the_handshake() -> None:
    async with server_of(name="x", instructions="Add.") as server, piped(server) as pipes:
        params = {"protocolVersion": "1999-01-01", "capabilities": {}}
        answer = await pipes.ask(request(1, "initialize", params))
        assert answer["result"]["protocolVersion"] == OLD
        assert answer["result"]["serverInfo"]["name"] == "x"
        assert answer["result"]["instructions"] == "Add."
        twice = await pipes.ask(request(2, "initialize", params))
        assert twice["error"]["code"] == -32602


async def test_discovery_lists_only_revisions_without_a_handshake() -> None:
    async with server_of() as server, piped(server) as pipes:
        found = (await pipes.ask(request(1, "server/discover", new())))["result"]
        assert found["supportedVersions"] == [NEW]
        assert found["capabilities"]["extensions"] == TASKS["extensions"]
        assert "prompts" not in found["capabilities"]
        assert (found["ttlMs"], found["cacheScope"]) == (60_000, "public")


async def test_a_revision_that_is_not_spoken_is_told_which_are() -> None:
    async with server_of() as server, piped(server) as pipes:
        params = new(meta={"io.modelcontextprotocol/protocolVersion": "2030-01-01"})
        error = (await pipes.ask(request(1, "tools/list", params)))["error"]
        assert error["code"] == -32022
        assert error["data"] == {"supported": [NEW], "requested": "2030-01-01"}


@pytest.mark.parametrize(
    ("raw", "code", "has_id"),
    [
        (b"not json", -32700, False),
        (b'{"jsonrpc":"2.0","id":1,', -32700, False),
        (b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]', -32600, False),
        (b'{"jsonrpc":"1.0","id":1,"method":"ping"}', -32600, True),
        (b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}', -32600, False),
        (b'{"jsonrpc":"2.0","id":null,"method":"ping"}', -32600, False),
        (b'{"jsonrpc":"2.0","id":1,"method":7}', -32600, True),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}', -32600, True),
        (b'{"jsonrpc":"2.0","id":1}', -32600, True),
        (b'{"jsonrpc":"2.0","id":1,"method":"m","result":{}}', -32600, True),
        (b'{"jsonrpc":"2.0","id":1,"method":"\xff"}', -32700, True),
        (b'{"jsonrpc":"2.0","id":1,"method":"m","params":' + b"[" * 50_000, -32600, False),
        (b'{"jsonrpc":"2.0","id":"' + b"x" * 300 + b'","method":"m"}', -32600, True),
        (b'{"jsonrpc":"2.0","id":1,"method":"tools/list"}', -32602, True),
        (b'{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":[]}}', -32602, True),
    ],
)
async def test_what_is_no_message_gets_an_error_and_the_next_line_an_answer(
    raw: bytes, code: int, has_id: bool
) -> None:
    async with server_of() as server, piped(server) as pipes:
        answer = await pipes.ask(raw + b"\n")
        assert answer["error"]["code"] == code
        assert ("id" in answer) == has_id
        assert texts(await pipes.ask(call(2, "add", new(arguments={"first": 1})))) == ["2"]


async def test_blank_lines_and_lines_in_pieces_are_taken() -> None:
    async with server_of() as server, piped(server) as pipes:
        pipes.send(b"\n  \n\r\n")
        line = b'{"jsonrpc":"2.0","id":1,"method":"unknown/method","params":{"_meta":'
        pipes.send(line)
        await asyncio.sleep(0.01)
        pipes.send(b"3}}\r\n")
        assert (await pipes.receive())["error"]["code"] == -32602


async def test_a_line_over_the_limit_is_skipped_to_its_end() -> None:
    async with server_of() as server, piped(server) as pipes:

        def flood() -> None:
            pipes.send(b'"' + b"x" * (MAX_MESSAGE_BYTES + 10))
            pipes.send(b'"\n')

        await asyncio.to_thread(flood)
        assert (await pipes.receive())["error"]["code"] == -32700
        assert texts(await pipes.ask(call(2, "add", new(arguments={"first": 1})))) == ["2"]


async def test_a_method_of_the_other_era_is_unknown() -> None:
    async with server_of() as server, piped(server) as pipes:
        for method in ("ping", "initialize", "logging/setLevel", "tasks/list", "nothing"):
            assert (await pipes.ask(request(method, method, new())))["error"]["code"] == -32601
        await pipes.shake_hands()
        for method in ("tasks/get", "server/discover", "subscriptions/listen", "prompts/list"):
            assert (await pipes.ask(request(method, method, {})))["error"]["code"] == -32601


async def test_an_id_that_is_being_answered_is_refused_without_naming_it() -> None:
    async with server_of() as server, piped(server) as pipes:
        pipes.send(call(1, "wait", new(arguments={"seconds": 30})))
        double = await pipes.ask(call(1, "add", new(arguments={"first": 1})))
        assert double["error"]["code"] == -32600
        assert "id" not in double
        pipes.send(
            {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
        )
        assert texts(await pipes.ask(call(1, "add", new(arguments={"first": 1})))) == ["2"]


async def test_a_cancelled_call_ends_and_is_never_answered() -> None:
    async with server_of() as server, piped(server) as pipes:
        await pipes.shake_hands()
        pipes.send(call(1, "wait", {"arguments": {"seconds": 30}}))
        pipes.send(
            {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
        )
        assert texts(await pipes.ask(call(2, "add", {"arguments": {"first": 1}}))) == ["2"]
        assert server.running == 0


async def test_the_end_of_the_input_ends_what_is_being_done() -> None:
    async with server_of() as server:
        async with piped(server) as pipes:
            pipes.send(call(1, "wait", new(arguments={"seconds": 3_000})))
            await pipes.ask(call(2, "add", new(arguments={"first": 1})))
            assert server.running == 1
        await asyncio.sleep(0)
        assert server.running == 0


async def test_progress_is_told_to_whoever_asks_for_it() -> None:
    async with server_of() as server, piped(server) as pipes:
        pipes.send(call(1, "wait", new(arguments={"seconds": 0}, meta={"progressToken": "t"})))
        told = [await pipes.receive() for _ in range(4)]
        assert [each["params"]["progress"] for each in told[:3]] == [0, 1, 2]
        assert texts(told[3]) == ["waited"]
        assert texts(await pipes.ask(call(2, "wait", new(arguments={"seconds": 0})))) == ["waited"]


async def test_thirty_two_calls_at_once_are_all_answered() -> None:
    async with server_of() as server, piped(server) as pipes:
        for number in range(32):
            pipes.send(call(number, "add", new(arguments={"first": number})))
        answers = [await pipes.receive() for _ in range(32)]
        found = {each["id"]: each["result"]["structuredContent"] for each in answers}
        assert found == {number: number + 1 for number in range(32)}


SCRIPT = textwrap.dedent("""
    import asyncio
    from pathlib import Path
    from toka.capability.core import PermissionSet
    from toka.tools import ToolContext, ToolRegistry, Workspace, tool
    from toka.tools.mcp.server import McpServer, serve_stdio

    @tool(side_effect="none", taints=False)
    async def chatter() -> str:
        "Print to standard output, as a tool should not."
        print("noise", flush=True)
        return "said"

    async def main() -> None:
        context = ToolContext(Workspace(Path.cwd()), PermissionSet.parse([]))
        async with McpServer(ToolRegistry.of([chatter]), context) as server:
            await serve_stdio(server)

    asyncio.run(main())
""")


def test_what_a_tool_prints_stays_out_of_the_protocol() -> None:
    import json  # noqa: PLC0415 - here alone

    message: dict[str, Any] = call(1, "chatter", new())
    done = subprocess.run(  # noqa: S603 - ours
        [sys.executable, "-W", "error", "-c", SCRIPT],
        input=json.dumps(message) + "\n",
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert [texts(json.loads(line)) for line in done.stdout.splitlines()] == [["said"]]
    assert done.stderr == "noise\n"
