"""A run is one trace, from the HTTP request that began it to the process that a tool started."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest

from toka.runtime import from_store
from toka.store.core import open_store

REMOTE_TRACE, REMOTE_SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PATIENCE = 30.0
ERROR = 2
"""The status of a span that failed, in OTLP."""

SPEC = """
metadata: {name: spawner}
tasks:
  default:
    - id: spawn
      description: Start a process
      steps:
        - tool: run_command
          with: {argv: ["PYTHON", "PROGRAM"], env: {"OTEL_EXPORTER_OTLP_ENDPOINT": "COLLECTOR"}}
          as: done
SECOND
security:
  capabilities_required: ["proc:run:**", "proc:env:**", "proc:delegate:**"]
"""
WAITING = """\
    - {id: wait, description: Wait for a file, entry: "waiting:wait", depends_on: [spawn]}
"""
WAITING_CODE = """
import anyio
async def wait(ctx):
    async def look():
        while not await anyio.Path("FILE").exists():
            await anyio.sleep(0.02)
    await ctx.step("look", look)
"""
PROGRAM = """
from toka.performance import TelemetrySettings, continued_trace, parent_trace, telemetry
with telemetry(TelemetrySettings.from_environment("child")) as running:
    with continued_trace(parent_trace()), running.tracer("child").start_as_current_span("in child"):
        pass
"""


@attrs.frozen
class Span:
    name: str
    service: str
    trace: str
    identity: str
    parent: str
    failed: bool
    attributes: dict[str, Any]


@attrs.define
class Collector:
    """What a collector of OTLP over HTTP was sent."""

    url: str = ""
    spans: list[Span] = attrs.field(factory=list[Span])
    paths: set[str] = attrs.field(factory=set[str])
    _changed: threading.Condition = attrs.field(factory=threading.Condition)

    def take(self, path: str, body: bytes) -> None:
        with self._changed:
            self.paths.add(path)
            if path == "/v1/traces":
                self.spans += _spans_in(body)
            self._changed.notify_all()

    def wait_for(self, *names: str) -> None:
        with self._changed:
            assert self._changed.wait_for(
                lambda: set(names) <= {span.name for span in self.spans}, PATIENCE
            ), [span.name for span in self.spans]

    def one(self, name: str) -> Span:
        (span,) = [each for each in self.spans if each.name == name]
        return span


def _spans_in(body: bytes) -> Iterator[Span]:
    for resource in json.loads(body)["resourceSpans"]:
        facts = _texts(resource["resource"])
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                yield Span(
                    span["name"],
                    facts["service.name"],
                    span["traceId"],
                    span["spanId"],
                    span["parentSpanId"],
                    span["status"]["code"] == ERROR,
                    _texts(span),
                )


def _texts(of: dict[str, Any]) -> dict[str, str]:
    return {each["key"]: each["value"].get("stringValue", "") for each in of["attributes"]}


@pytest.fixture
def collector() -> Iterator[Collector]:
    got = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.take(self.path, body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    got.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield got
    server.shutdown()
    thread.join()
    server.server_close()


def _environment(collector: Collector) -> dict[str, str]:
    # The batches of the exporter are sent often, so that a test need not wait for them.
    return {
        **{name: text for name, text in os.environ.items() if not name.startswith("OTEL_")},
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_BSP_SCHEDULE_DELAY": "50",
    }


@contextmanager
def _serving(
    folder: Path, collector: Collector, end: signal.Signals = signal.SIGTERM
) -> Iterator[tuple[str, str]]:
    command = [sys.executable, "-m", "toka.cli", "serve", "--port", "0", "--print-token"]
    with subprocess.Popen(  # noqa: S603 - our own program
        command, cwd=folder, env=_environment(collector), stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            url, _ = (process.stdout.readline().split()[-1] for _ in range(2))
            mint = ["token", "mint", "--subject", "me", "--permission", "run:*:*"]
            for permission in ("agent:*:**", "proc:*:**"):
                mint += ["--permission", permission]
            made = subprocess.run(  # noqa: S603 - our own program
                [sys.executable, "-m", "toka.cli", *mint],
                cwd=folder,
                capture_output=True,
                text=True,
                check=True,
            )
            yield url, made.stdout.strip()
        finally:
            process.send_signal(end)
            process.wait(PATIENCE)


def _ask(url: str, token: str, path: str, body: object = None, **headers: str) -> Any:
    request = urllib.request.Request(  # noqa: S310 - on loopback
        url + path,
        data=None if body is None else json.dumps(body).encode(),
        headers={
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            **headers,
        },
    )
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310 - on loopback
        return json.loads(answer.read())


def _begin(url: str, token: str) -> str:
    remote = f"00-{REMOTE_TRACE}-{REMOTE_SPAN}-01"
    made = _ask(url, token, "/v1/runs", {"source": "spawner.yaml"}, traceparent=remote)
    return made["run"]["run"]


def _until_ended(url: str, token: str, run: str) -> Any:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = _ask(url, token, f"/v1/runs/{run}")["run"]
        if found["ended"] is not None:
            return found
        time.sleep(0.02)
    raise AssertionError(run)


def _write(folder: Path, collector: Collector, second: str = "") -> None:
    (folder / "child.py").write_text(PROGRAM)
    text = SPEC.replace("PYTHON", sys.executable).replace("PROGRAM", str(folder / "child.py"))
    text = text.replace("COLLECTOR", collector.url).replace("SECOND", second)
    (folder / "spawner.yaml").write_text(text)


def test_from_the_request_to_the_process_that_a_tool_started(
    tmp_path: Path, collector: Collector
) -> None:
    _write(tmp_path, collector)
    with _serving(tmp_path, collector) as (url, token):
        run = _begin(url, token)
        assert _until_ended(url, token, run)["state"] == "completed"
        collector.wait_for("run", "in child")
        log = _events(tmp_path)

    chain = ("POST /v1/runs", "run", "invoke_agent", "task", "execute_tool run_command", "in child")
    spans = [collector.one(name) for name in chain]
    assert {span.trace for span in spans} == {REMOTE_TRACE}
    assert [span.parent for span in spans] == [REMOTE_SPAN, *(span.identity for span in spans[:-1])]
    assert [span.service for span in spans] == [*["toka-service"] * 5, "child"]
    assert spans[1].attributes["toka.run.id"] == run
    assert not any(span.failed for span in spans)
    assert {"/v1/traces", "/v1/metrics", "/v1/logs"} >= collector.paths >= {"/v1/traces"}
    # In the log each event of the run names the span in which it was asked for.
    tasks = {f"00-{REMOTE_TRACE}-{span.identity}-01" for span in spans[:-1]}
    assert log["agent.spawned.v1"] <= tasks
    assert log["step.completed.v1"] | log["task.completed.v1"] <= tasks
    for kind in (kind for kind in log if kind.startswith(("agent.", "task.", "step."))):
        assert {trace.split("-")[1] for trace in log[kind]} == {REMOTE_TRACE}


def _events(folder: Path) -> dict[str, set[str]]:
    """Return the traces of the events of each kind, read from the log beside the service."""

    async def read() -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        async with await open_store(f"sqlite:{folder}/.toka/log.db", read_only=True) as store:
            async for event in store.read():
                found.setdefault(event.kind, set()).add(from_store(event).trace)
        return found

    return anyio.run(read)


def test_a_run_that_goes_on_after_a_kill_is_in_the_trace_that_it_began_in(
    tmp_path: Path, collector: Collector
) -> None:
    _write(tmp_path, collector, WAITING)
    (tmp_path / "waiting.py").write_text(WAITING_CODE.replace("FILE", str(tmp_path / "go")))
    with _serving(tmp_path, collector, signal.SIGKILL) as (url, token):
        run = _begin(url, token)
        collector.wait_for("POST /v1/runs", "in child", "execute_tool run_command")
    (tmp_path / "go").touch()
    with _serving(tmp_path, collector) as (url, token):
        assert _until_ended(url, token, run)["state"] == "completed"
        collector.wait_for("run", "step")

    again = collector.one("run")
    assert again.trace == REMOTE_TRACE
    assert again.parent == collector.one("POST /v1/runs").identity
    # What was done before the kill is read from the log, and not told a second time.
    assert [span.name for span in collector.spans].count("execute_tool run_command") == 1


def test_a_command_continues_the_trace_that_its_environment_tells_of(
    tmp_path: Path, collector: Collector
) -> None:
    _write(tmp_path, collector)
    environment = _environment(collector)
    environment["TRACEPARENT"] = f"00-{REMOTE_TRACE}-{REMOTE_SPAN}-01"
    command = [sys.executable, "-m", "toka.cli", "run", "spawner.yaml"]
    subprocess.run(  # noqa: S603 - our own program
        command, cwd=tmp_path, env=environment, check=True, stdout=subprocess.DEVNULL
    )

    spans = [collector.one(name) for name in ("toka run", "run", "in child")]
    assert {span.trace for span in spans} == {REMOTE_TRACE}
    assert spans[0].parent == REMOTE_SPAN
    assert spans[1].parent == spans[0].identity
    assert collector.paths >= {"/v1/traces", "/v1/metrics"}
