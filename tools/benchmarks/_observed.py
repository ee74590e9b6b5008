"""The main job with everything switched on, and with nothing: what does it cost to be observed?

Everything is: each trace recorded, metrics of the process, the machine, the event loop and the
queue, and all of it sent as OTLP to a collector, which here only reads and forgets.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import psutil

from workshop.measure import scratch_for_ever
from workshop.shell import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from workshop.measure import Subject

_JOB = "examples/repo-audit"
_PERMISSIONS = ("run:*:*", "agent:*:**", "fs:*:/**", "proc:*:**")
_DEADLINE = 60.0
_LAST_BATCH = 5.5
"""Seconds until what runs left to be sent has been sent, as the SDK has it by default."""


class _Forgetful(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        pass


@cache
def _collector() -> str:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Forgetful)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}"


def _environment(*, observed: bool) -> dict[str, str]:
    plain = {name: text for name, text in os.environ.items() if not name.startswith("OTEL_")}
    if not observed:
        return plain
    return plain | {"OTEL_EXPORTER_OTLP_ENDPOINT": _collector()}


class _Service:
    """`toka serve` in a process of its own."""

    def __init__(self, *, observed: bool) -> None:
        folder = scratch_for_ever()
        toka = [sys.executable, "-m", "toka.cli"]
        data = ["--data-dir", str(folder / "data")]
        self._process = subprocess.Popen(  # noqa: S603 - our own command
            [*toka, "serve", "--port", "0", *data, *(["--telemetry"] if observed else [])],
            cwd=ROOT,
            env=_environment(observed=observed),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        atexit.register(self._process.kill)
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        self._url = self._process.stdout.readline().split()[-1]
        wanted = [word for each in _PERMISSIONS for word in ("--permission", each)]
        mint = [*toka, "token", "mint", "--subject", "bench", *data, *wanted]
        made = subprocess.run(mint, check=True, capture_output=True, text=True)  # noqa: S603
        self._token = made.stdout.strip()

    def runs(self, count: int, target: Path) -> float:
        """Return the seconds of processor time that a run takes, with its child processes."""
        before = self._cpu_seconds()
        for _ in range(count):
            self._run(target)
        time.sleep(_LAST_BATCH)
        return (self._cpu_seconds() - before) / count

    def _run(self, target: Path) -> None:
        made = self._ask("/v1/runs", {"source": _JOB, "inputs": {"target": str(target)}})
        run, deadline = made["run"]["run"], time.monotonic() + _DEADLINE
        while self._ask(f"/v1/runs/{run}")["run"]["ended"] is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"run {run} did not end in {_DEADLINE:g} s")
            time.sleep(0.1)

    def _cpu_seconds(self) -> float:
        times = psutil.Process(self._process.pid).cpu_times()
        return sum((times.user, times.system, times.children_user, times.children_system))

    def _ask(self, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON of a stated form
        request = urllib.request.Request(  # noqa: S310 - on loopback
            self._url + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {self._token}",
                "Content-Type": "application/json",
            },
        )
        with urllib.request.urlopen(request, timeout=_DEADLINE) as answer:  # noqa: S310
            return json.loads(answer.read())


@cache
def _service(*, observed: bool) -> _Service:
    return _Service(observed=observed)


def served_runs(count: int, target: Path, *, observed: bool) -> Subject:
    """Return the subject: processor time of a run of the main job in a service, as a mean."""

    def subject() -> float:
        return _service(observed=observed).runs(count, target)

    return subject


def whole_command(*, observed: bool) -> Subject:
    """Return the subject: processor time of `toka run`, from its start to its end."""

    def subject() -> float:
        command = [sys.executable, "-m", "toka.cli", "run", _JOB, "--fresh", "--output", "plain"]
        command += ["--input", f"target={ROOT}", "--data-dir", str(_data())]
        before = os.times()
        subprocess.run(  # noqa: S603 - our own command
            command,
            cwd=ROOT,
            env=_environment(observed=observed),
            check=True,
            stdout=subprocess.DEVNULL,
        )
        after = os.times()
        return (
            after.children_user
            + after.children_system
            - before.children_user
            - before.children_system
        )

    return subject


@cache
def _data() -> Path:
    return scratch_for_ever() / "data"
