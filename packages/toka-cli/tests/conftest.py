"""The real command line, in this process where signals do not matter."""

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import attrs
import pytest

from toka.cli import main


@attrs.frozen
class Result:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Toka = Callable[..., Result]

INQUIRING = """
metadata: {name: inquiring}
tasks:
  default:
    - id: ask
      description: Ask where to go
      steps:
        - {tool: ask_person, with: {question: Where to?, choices: [here, there]}, as: where}
        - tool: ask_person
          with: {question: "How long ${where.answer}?", schema: {type: integer, minimum: 1}}
          as: long
        - tool: write_file
          with:
            path: "${run.artifacts}/plan.txt"
            content: "${where.answer} for ${long.answer}, says ${long.by}"
security:
  capabilities_required: ["person:ask:operator", "fs:write:${run.artifacts}/**"]
"""

ASKING = """
metadata: {{name: asking}}
tasks:
  default:
    - {{id: ask, description: Ask a person, entry: "{module}:ask"}}
"""
ASKING_CODE = """
async def ask(ctx):
    return {"approved": await ctx.approve("May I?")}
"""

ECHOING = """
import json, os, pathlib, sys
place = pathlib.Path(sys.argv[1])
for line in sys.stdin:
    message = json.loads(line)
    method = message["method"]
    if method == "server/discover":
        (place / "server.pid").write_text(str(os.getpid()))
        result = {"supportedVersions": ["2026-07-28"], "capabilities": {}}
    elif method == "tools/list":
        schema = {"type": "object", "properties": {"text": {"type": "string"}}}
        result = {"tools": [{"name": "echo", "description": "Say it.", "inputSchema": schema}]}
    elif method == "tools/call":
        text = message["params"]["arguments"]["text"]
        result = {"content": [{"type": "text", "text": text}]}
    else:
        continue
    print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
"""

_numbers = count()


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty directory, with no settings from outside."""
    monkeypatch.chdir(tmp_path)
    for name in ("TOKA_URL", "TOKA_TOKEN", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def toka(capsys: pytest.CaptureFixture[str]) -> Toka:
    """Run a command line and return how it ended."""

    def run(*arguments: str | Path) -> Result:
        capsys.readouterr()
        status = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Result(status, captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data directory in which one run has ended. Copy it; do not touch it."""
    folder = tmp_path_factory.mktemp("finished")
    specification, data = folder / "agents", folder / ".toka"
    assert main(["init", str(specification)]) == 0
    run = ["run", str(specification / "agent.yaml"), "--data-dir", str(data), "--output", "json"]
    assert main([*run, "--input", f"target={specification}"]) == 0
    return data


@pytest.fixture
def data(finished: Path, tmp_path: Path) -> Path:
    """Return a copy of a data directory in which one run has ended."""
    return Path(shutil.copytree(finished, tmp_path / ".toka"))


@pytest.fixture
def asking(tmp_path: Path) -> Path:
    """Return a specification whose agent asks a person."""
    # A process imports a module once, whatever folder it was in: each test has its own name.
    module = f"cli_asking_{next(_numbers)}"
    folder = tmp_path / "asking"
    folder.mkdir()
    (folder / "asking.yaml").write_text(ASKING.format(module=module))
    (folder / f"{module}.py").write_text(ASKING_CODE)
    return folder / "asking.yaml"


@pytest.fixture
def inquiring(tmp_path: Path) -> Path:
    """Return a specification that asks a person for a choice, and then for a number."""
    path = tmp_path / "inquiring.yaml"
    path.write_text(INQUIRING)
    return path


@pytest.fixture
def command() -> list[str]:
    """Return what starts the command in a process of its own."""
    return [sys.executable, "-m", "toka.cli"]


@attrs.define
class Service:
    """A service in a process of its own."""

    pid: int
    url: str
    token: str = ""
    """If it was asked to print one."""
    status: int | None = None
    rest: str = ""
    """What else it printed."""
    err: str = ""


@contextmanager
def _served(
    command: list[str], *options: str, end: signal.Signals = signal.SIGTERM
) -> Iterator[Service]:
    start = [*command, "serve", "--port", "0", *options]
    process = subprocess.Popen(  # noqa: S603 - our own
        start, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    service = Service(process.pid, process.stdout.readline().split()[-1])
    if "--print-token" in options:
        service.token = process.stdout.readline().strip()
    try:
        yield service
    finally:
        process.send_signal(end)
        service.rest, service.err = process.communicate(timeout=10)
        service.status = process.returncode


@pytest.fixture
def served() -> Callable[..., AbstractContextManager[Service]]:
    """Run a service in a process of its own."""
    return _served


@pytest.fixture
def approved_servers(toka: Toka) -> Callable[[Path], None]:
    """Write servers.toml into a folder: one MCP server, whose tool `it__echo` is approved.

    The server writes its process into server.pid, once a client begins with it.
    """

    def make(folder: Path) -> None:
        program, file = folder / "server.py", folder / "servers.toml"
        program.write_text(ECHOING)
        arguments = json.dumps(["-I", "-S", str(program), str(folder)])
        file.touch(0o600)
        file.write_text(f'[servers.it]\ncommand = "{sys.executable}"\nargs = {arguments}\n')
        assert toka("tools", "mcp", "approve", file, "it", "echo", "--yes").status == 0
        (folder / "server.pid").unlink()

    return make
