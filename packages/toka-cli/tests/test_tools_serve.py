"""`toka tools serve`: as a process, over its pipes and over HTTP."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}


def message(name: str, **arguments: object) -> dict[str, Any]:
    params = {"name": name, "arguments": arguments, "_meta": META}
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}


@contextmanager
def serving(folder: Path, *options: str, **environment: str) -> Generator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "toka.cli", "tools", "serve", *options]
    with subprocess.Popen(  # noqa: S603 - ours
        command,
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)


def ask(process: subprocess.Popen[str], asked: object) -> Any:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(asked) + "\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def post(url: str, asked: dict[str, Any], token: str = "") -> tuple[int, Any]:
    headers = {
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": "2026-07-28",
        "Mcp-Method": asked["method"],
        "Mcp-Name": asked["params"]["name"],
        **({"Authorization": f"Bearer {token}"} if token else {}),
    }
    request = urllib.request.Request(url, json.dumps(asked).encode(), headers)  # noqa: S310 - http
    try:
        with urllib.request.urlopen(request, timeout=20) as response:  # noqa: S310 - http
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_over_pipes_a_client_may_do_what_is_allowed_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello")
    (tmp_path / ".toka").mkdir()
    (tmp_path / ".toka" / "key").write_text("secret")
    with serving(tmp_path, "--allow", f"fs:read:{tmp_path}/**", TOKA_TOKEN="") as process:
        read = ask(process, message("read_file", path="a.txt"))
        assert read["result"]["structuredContent"]["content"] == "hello"
        for name, arguments in (
            ("read_file", {"path": ".toka/key"}),
            ("write_file", {"path": "b.txt", "content": "x"}),
        ):
            refused = ask(process, message(name, **arguments))
            assert refused["result"]["isError"] is True
            assert "secret" not in str(refused)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(20) == 0


def test_over_pipes_a_token_says_what_a_client_may_do(toka: Any, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello")
    permission = f"fs:read:{tmp_path}/**"
    minted = toka("token", "mint", "--subject", "me", "--permission", permission)
    token = minted.out.strip()
    with serving(tmp_path, TOKA_TOKEN=token) as process:
        read = ask(process, message("read_file", path="a.txt"))
        assert read["result"]["structuredContent"]["content"] == "hello", read
    with serving(tmp_path, TOKA_TOKEN=token[:-2]) as process:
        assert process.wait(20) != 0
        assert process.stderr is not None
        assert "token" in process.stderr.read()


def test_over_http_every_request_brings_a_token(toka: Any, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello")
    permission = f"fs:read:{tmp_path}/**"
    token = toka("token", "mint", "--subject", "me", "--permission", permission).out.strip()
    with serving(tmp_path, "--http", "--port", "0", "--tool", "read_file") as process:
        assert process.stdout is not None
        greeting = process.stdout.readline().split()
        assert greeting[:3] == ["Serving", "1", "tools"]
        asked = message("read_file", path="a.txt")
        assert post(greeting[-1], asked)[0] == 401
        status, read = post(greeting[-1], asked, token)
        assert (status, read["result"]["structuredContent"]["content"]) == (200, "hello")
        assert post(greeting[-1], message("write_file"), token)[1]["error"]["code"] == -32602


def test_a_tool_that_there_is_not_cannot_be_served(toka: Any) -> None:
    result = toka("tools", "serve", "--tool", "raed_file")
    assert result.status == 2
    assert "read_file" in result.err


def test_tools_of_a_configuration_are_served(tmp_path: Path, approved_servers: Any) -> None:
    approved_servers(tmp_path)
    config = tmp_path / "service.toml"
    config.touch(0o600)
    config.write_text('[tools]\nmcp = "servers.toml"\n')
    options = ("--config", str(config), "--tool", "it__echo", "--allow", "mcp:call:it/echo")
    with serving(tmp_path, *options) as process:
        answer = ask(process, message("it__echo", text="hello"))
    assert "hello" in json.dumps(answer["result"]["content"])
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "server.pid").read_text()), 0)
