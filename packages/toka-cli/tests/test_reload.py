"""A running `toka serve` and its service.toml: taken, refused, or said to need a restart."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from queue import Empty, Queue
from threading import Thread

import attrs
import msgspec
import pytest
from anyio.from_thread import start_blocking_portal

from toka.cli._errors import ServiceConfigUnusable
from toka.cli._service_config import read_service_config
from toka.cli._toolbox import make_toolbox
from toka.llm_gateway.testing import FakeOpenAI, reply
from toka.tools import Workspace

SPEC = """\
metadata: {name: lister}
tasks:
  default:
    - description: list
      steps: [{tool: list_files, with: {path: .}}]
security: {capabilities_required: ['fs:read:**']}
"""
ASKER = """\
metadata: {name: asker}
inputs: {n: {default: '0'}}
tasks:
  default:
    - {description: "Say ok ${inputs.n}", model: {max_turns: 1}}
security: {capabilities_required: ['model:call:**']}
"""
GRANTED = ("run:*:*", "agent:*:**", "tool:read:*", "metrics:read:*", "model:call:**", "mcp:call:**")
PERMISSIONS = [word for each in GRANTED for word in ("--permission", each)]


@attrs.define
class Running:
    """A service whose standard error is read as it comes."""

    process: subprocess.Popen[str]
    url: str
    token: str
    config: Path
    lines: Queue[str]

    def said(self, words: str, seconds: float = 15) -> str:
        """Wait for a line that holds words."""
        end, seen = time.monotonic() + seconds, []
        while time.monotonic() < end:
            try:
                seen.append(self.lines.get(timeout=0.1))
            except Empty:
                continue
            if words in seen[-1]:
                return seen[-1]
        raise AssertionError(f"{words!r} was not said, but {seen}")

    def write(self, text: str) -> None:
        draft = self.config.with_suffix(".new")
        draft.write_text(text)
        draft.chmod(0o600)
        draft.replace(self.config)

    def ask(self, path: str, body: object = None) -> tuple[int, dict[str, object]]:
        request = urllib.request.Request(  # noqa: S310 - our own service
            f"{self.url}{path}",
            None if body is None else msgspec.json.encode(body),
            {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - as above
                return answer.status, msgspec.json.decode(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, msgspec.json.decode(error.read())


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Return one service for all: starting one takes longer than any of the tests."""
    folder = tmp_path_factory.mktemp("reload")
    command = [sys.executable, "-m", "toka.cli"]
    config = folder / ".toka" / "service.toml"
    config.parent.mkdir()
    config.touch(0o600)
    process = subprocess.Popen(  # noqa: S603 - our own
        [*command, "serve", "--port", "0"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    url = process.stdout.readline().split()[-1]
    mint = [*command, "token", "mint", "--subject", "me", *PERMISSIONS]
    token = subprocess.check_output(mint, cwd=folder, text=True).strip()  # noqa: S603 - our own
    lines: Queue[str] = Queue()
    reader = Thread(
        target=lambda errors: [lines.put(line) for line in errors], args=[process.stderr]
    )
    reader.start()
    try:
        yield Running(process, url, token, config, lines)
    finally:
        process.terminate()
        assert process.wait(30) == 0
        reader.join()
        process.stdout.close()
        process.stderr.close()


@pytest.fixture
def running(service: Running, monkeypatch: pytest.MonkeyPatch) -> Running:
    """Return the service with an empty configuration."""
    monkeypatch.chdir(service.config.parent.parent)
    service.write("")
    os.kill(service.process.pid, signal.SIGHUP)
    service.said("SIGHUP")
    service.said("configuration taken")
    return service


def test_a_written_file_is_taken_without_a_restart(running: Running) -> None:
    folder = Path("specs")
    folder.mkdir()
    (folder / "lister.yaml").write_text(SPEC)
    assert running.ask("/v1/runs", {"source": "lister.yaml"})[0] == 422
    running.write(
        'log_level = "info"\nagents = "specs"\n[limits]\nruns_at_once = 2\n'
        '[tools]\nallowed = ["read_file"]\n'
    )
    said = running.said("configuration taken")
    assert "log_level warning -> info" in said
    assert "agents nothing -> specs" in said
    assert "limits.runs_at_once 64 -> 2" in said
    assert "tools.allowed nothing -> read_file" in said
    status, tools = running.ask("/v1/tools")
    assert status == 200
    assert "read_file" in str(tools)
    assert "list_files" not in str(tools)
    # The folder of agents is the new one: what is refused now is the operator's token, which
    # covers no file.
    status, problem = running.ask("/v1/runs", {"source": "lister.yaml"})
    assert (status, problem["code"]) == (403, "kernel.capability_denied")


def test_a_wrong_file_is_refused_as_a_whole_and_the_old_one_holds(running: Running) -> None:
    running.write('[tools]\nallowed = ["read_file"]\n')
    running.said("configuration taken")
    for text, words in (
        ("[limits]\nruns_at_onec = 3\n", "did you mean 'runs_at_once'"),
        ('[tools]\nallowed = ["red_file"]\n', "read_file"),
        ("[limits]\nunfinished_runs = 0\n", "limits.unfinished_runs"),
        ("[limits\n", "is wrong"),
        ('agents = "nowhere"\n[tools]\nallowed = []\n', "is no folder"),
        ('[[model]]\nprovider = "nobody"\nname = "x"\n', "anthropic"),
    ):
        running.write(text)
        said = running.said("configuration refused, the old one holds")
        assert words in said
    running.config.unlink()
    assert "is gone" in running.said("configuration refused")
    names = str(running.ask("/v1/tools")[1])
    assert "read_file" in names
    assert "list_files" not in names


def test_what_needs_a_restart_is_said(running: Running) -> None:
    running.write('log_level = "error"\n[server]\nport = 1\n')
    # Told whatever the level is.
    assert "log_level warning -> error" in running.said("configuration taken")
    assert "server.port holds from the next start" in running.said("restart the service")
    running.config.with_name("identities.toml").write_text("")
    assert "identities.toml" in running.said("holds from the next start")


def test_a_signal_takes_it_at_once_and_does_not_end_the_service(running: Running) -> None:
    os.kill(running.process.pid, signal.SIGHUP)
    assert "nothing has changed" in running.said("configuration taken")
    running.config.chmod(0o666)
    os.kill(running.process.pid, signal.SIGHUP)
    assert "written by others" in running.said("configuration refused")
    assert running.ask("/v1/health")[0] == 200


def test_the_next_step_asks_the_model_that_is_routed_to(running: Running) -> None:
    Path("asker.yaml").write_text(ASKER)
    with start_blocking_portal() as portal, ExitStack() as stack:
        servers = [
            stack.enter_context(
                portal.wrap_async_context_manager(FakeOpenAI(lambda _: reply("ok")))
            )
            for _ in range(2)
        ]
        for number, server in enumerate(servers):
            route = f'[[model]]\nprovider = "openai"\nname = "m{number}"\n'
            running.write(f'{route}base_url = "{server.url}"\nallow_insecure = true\n')
            assert f"m{number}" in running.said("configuration taken")
            status, body = running.ask(
                "/v1/runs", {"source": "asker.yaml", "inputs": {"n": str(number)}}
            )
            assert status == 201, body
            end = time.monotonic() + 20
            while len(server.requests) < 1:
                assert time.monotonic() < end
                time.sleep(0.01)
        assert [len(server.requests) for server in servers] == [1, 1]


def test_a_service_does_not_start_with_a_wrong_file(toka, tmp_path: Path) -> None:
    config = tmp_path / "service.toml"
    config.write_text("[limit]\n")
    config.chmod(0o600)
    result = toka("serve", "--port", "0", "--config", config)
    assert result.status == 2
    assert "did you mean 'limits'?" in result.err
    assert "[cli.service_config]" in result.err


ECHO = """\
metadata: {name: echo}
tasks:
  default:
    - description: echo
      steps: [{tool: it__echo, with: {text: hello}}]
security: {capabilities_required: ['mcp:call:it/echo']}
"""
MANIFEST = """\
metadata: {name: word-count, version: "1.0", description: Count., created: "2025-07-06"}
spec: {executable: {type: shell, path: count.sh}}
"""


def test_tools_of_manifests_and_servers_are_taken_and_a_broken_file_leaves_them(
    running: Running, approved_servers
) -> None:
    folder = running.config.parent.parent
    (folder / "manifests").mkdir(0o755)
    manifest = folder / "manifests" / "count.yaml"
    manifest.touch(0o644)
    manifest.write_text(MANIFEST)
    (folder / "manifests" / "count.sh").touch(0o755)
    approved_servers(folder)
    both = 'manifests = ["manifests"]\nmcp = "servers.toml"\n'
    running.write(f"[tools]\n{both}")
    assert "tools.mcp nothing -> servers.toml" in running.said("configuration taken")
    assert {"word_count", "it__echo"} <= _names(running)
    (folder / "echo.yaml").write_text(ECHO)
    status, body = running.ask("/v1/runs", {"source": "echo.yaml"})
    assert status == 201, body
    end = time.monotonic() + 20
    while '"completed"' not in json.dumps(running.ask(f"/v1/runs/{_run_of(body)}")[1]):
        assert time.monotonic() < end
        time.sleep(0.05)
    pid = int((folder / "server.pid").read_text())
    # What nothing is said about goes on: the connection too.
    running.write(f"log_level = 'info'\n[tools]\n{both}")
    running.said("configuration taken")
    os.kill(pid, 0)
    # A change in the directory holds at once; a broken file leaves what was, there and here.
    manifest.write_text(MANIFEST.replace("Count.", "Count words."))
    assert "Count words." in str(running.ask("/v1/tools")[1])
    manifest.write_text("metadata: [")
    os.kill(running.process.pid, signal.SIGHUP)
    assert "count.yaml" in running.said("configuration refused, the old one holds")
    assert {"word_count", "it__echo"} <= _names(running)
    running.write("")
    running.said("configuration taken")
    assert not {"word_count", "it__echo"} & _names(running)


def _names(running: Running) -> set[str]:
    tools = running.ask("/v1/tools")[1]["tools"]
    assert isinstance(tools, list)
    return {tool["name"] for tool in tools}


def _run_of(body: dict[str, object]) -> str:
    run = body["run"]
    assert isinstance(run, dict)
    return str(run["run"])


PETS = {
    "openapi": "3.1.0",
    "info": {"title": "Pets", "version": "1"},
    "paths": {"/pets": {"get": {"operationId": "listPets"}, "post": {"operationId": "addPet"}}},
    "components": {"securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}},
}


def test_operations_of_a_document_are_tools_like_others(tmp_path: Path) -> None:
    document, config = tmp_path / "pets.json", tmp_path / "service.toml"
    document.write_text(json.dumps(PETS))
    document.chmod(0o600)

    def tools(more: str = "", before: str = "") -> tuple[str, ...]:
        block = f'[[tools.openapi]]\nfile = "{document}"\nserver = "https://pets.example"\n'
        config.touch(0o600)
        config.write_text(f"{before}{block}{more}")
        return make_toolbox(read_service_config(config).tools, Workspace(tmp_path)).registry.names()

    assert {"list_pets", "add_pet", "read_file"} <= set(tools())
    chosen = tools('operations = ["listPets"]\nprefix = "pets_"\nsecurity = {key = "mine"}\n')
    assert "pets_list_pets" in chosen
    assert "pets_add_pet" not in chosen
    only = '[tools]\nallowed = ["add_pet"]\n'
    assert tools(before=only) == ("add_pet",)
    for wrong, words in (
        ('security = {kee = "mine"}', "no security scheme 'kee'"),
        ('security = {key = "ghp_REAL"}', "no secret's name"),
        ('operations = ["nothing"]', "no operation 'nothing'"),
        ('prefix = "Pets"', "cannot begin"),
    ):
        with pytest.raises(ServiceConfigUnusable, match=words) as caught:
            tools(wrong)
        assert "REAL" not in str(caught.value)
    document.chmod(0o666)
    with pytest.raises(ServiceConfigUnusable, match="written by others"):
        tools()
    document.unlink()
    with pytest.raises(ServiceConfigUnusable, match="cannot be read"):
        tools()
