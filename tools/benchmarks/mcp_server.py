"""Calls served over the Model Context Protocol, beside the official SDK's server and a floor.

Each server is a process of its own with the same tool, and is driven by the same client: bytes that
were made before, written and read without any library, so that what is compared is the servers.
The floor is asyncio and `json` answering lines, with no protocol, no schema and no tool.
Processor time is the server's own: it says what a call costs whatever else the machine does.
"""

from __future__ import annotations

import atexit
import importlib.util
import json
import socket
import subprocess
import sys
import time
from functools import lru_cache, partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final
from urllib.parse import urlsplit

from workshop.measure import Measure, NotInstalled, at_least, at_most

if TYPE_CHECKING:
    from collections.abc import Callable

CALLS: Final = 200
AT_ONCE: Final = 32
NEW, OLD = "2026-07-28", "2025-11-25"

_PROGRAM: Final = str(Path(__file__).with_name("_mcp_serve.py"))
_META: Final = {
    "io.modelcontextprotocol/protocolVersion": NEW,
    "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}


def measures() -> list[Measure]:
    """Return what is measured. The bars are the issue's figures over the SDK's of a quiet day."""
    piped = {
        "ours": partial(rate, "ours", NEW),
        "ours, 2025-11-25": partial(rate, "ours", OLD),
        "official SDK": partial(rate, "sdk", NEW),
        "official SDK, 2025-11-25": partial(rate, "sdk", OLD),
        "asyncio and json": partial(rate, "floor", NEW),
    }
    posted = {"ours": partial(http_rate, "ours"), "official SDK": partial(http_rate, "sdk")}
    return [
        Measure(
            "stdio, one call after another",
            "calls/s",
            {name: partial(each, 1) for name, each in piped.items()},
            [at_least(5, times="official SDK")],
        ),
        Measure(
            f"stdio, {AT_ONCE} calls at once",
            "calls/s",
            {name: partial(each, AT_ONCE) for name, each in piped.items()},
            [at_least(12, times="official SDK")],
        ),
        Measure(
            f"stdio, {AT_ONCE} calls at once, processor time of the server",
            "us/call",
            {
                name: partial(processor_time, each, kind)
                for name, each, kind in (
                    ("ours", partial(rate, "ours", NEW, AT_ONCE), "ours"),
                    ("official SDK", partial(rate, "sdk", NEW, AT_ONCE), "sdk"),
                    ("asyncio and json", partial(rate, "floor", NEW, AT_ONCE), "floor"),
                )
            },
            [at_most(0.12, times="official SDK")],
        ),
        Measure(
            "HTTP, one call after another", "calls/s", posted, [at_least(5, times="official SDK")]
        ),
        Measure(
            "HTTP, processor time of the server",
            "us/call",
            {
                "ours": partial(processor_time, posted["ours"], "ours", "http"),
                "official SDK": partial(processor_time, posted["official SDK"], "sdk", "http"),
            },
            [at_most(0.3, times="official SDK")],
        ),
    ]


@lru_cache
def served(kind: str, transport: str, era: str) -> subprocess.Popen[bytes]:
    """Start a server that is there until this process ends."""
    if kind == "sdk" and importlib.util.find_spec("mcp") is None:
        raise NotInstalled("mcp")
    process = subprocess.Popen(  # noqa: S603 - ours
        [sys.executable, "-P", _PROGRAM, kind, transport],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    atexit.register(process.kill)
    if transport == "stdio" and era == OLD:
        client = {"name": "bench", "version": "1"}
        params = {"protocolVersion": OLD, "capabilities": {}, "clientInfo": client}
        hello = {"jsonrpc": "2.0", "id": "hello", "method": "initialize", "params": params}
        source, sink = pipes(process)
        sink.write(json.dumps(hello).encode() + b"\n")
        sink.flush()
        source.readline()
        sink.write(b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
        sink.flush()
    return process


def pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    """Return what the server writes to and what it reads from."""
    if process.stdout is None or process.stdin is None:
        raise RuntimeError("the server has no pipes")
    return process.stdout, process.stdin


def call(number: int, era: str) -> bytes:
    """Return a call of the tool."""
    params: dict[str, object] = {"name": "add", "arguments": {"first": number, "second": 1}}
    if era == NEW:
        params["_meta"] = _META
    asked = {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}
    return json.dumps(asked).encode()


def rate(kind: str, era: str, at_once: int) -> float:
    """Return calls per second, so many of them being answered at any time."""
    source, sink = pipes(served(kind, "stdio", era))
    lines = [call(number, era) + b"\n" for number in range(CALLS)]
    began = time.perf_counter()
    sink.write(b"".join(lines[:at_once]))
    sink.flush()
    for line in lines[at_once:]:
        source.readline()
        sink.write(line)
        sink.flush()
    for _ in range(at_once):
        source.readline()
    return CALLS / (time.perf_counter() - began)


@lru_cache
def connected(kind: str) -> tuple[socket.socket, IO[bytes], bytes]:
    """Connect to a server over HTTP; return also what is sent for a call."""
    source, _ = pipes(served(kind, "http", NEW))
    url = urlsplit(source.readline().decode().strip())
    body = call(1, NEW)
    head = (
        f"POST {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Type: application/json\r\n"
        "Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\n"
        f"Mcp-Method: tools/call\r\nMcp-Name: add\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    for _ in range(200):
        try:
            made = socket.create_connection((str(url.hostname), int(str(url.port))))
        except OSError:  # It says where it will be before it is there.
            time.sleep(0.05)
        else:
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return made, made.makefile("rb"), head.encode() + body
    raise NotInstalled(f"a server of {kind} that listens")


def http_rate(kind: str) -> float:
    """Return calls per second on one connection, one after another."""
    connection, answers, asked = connected(kind)
    began = time.perf_counter()
    for _ in range(CALLS):
        connection.sendall(asked)
        read_response(answers)
    return CALLS / (time.perf_counter() - began)


def read_response(answers: IO[bytes]) -> None:
    """Read one response to its end."""
    length, chunked = 0, False
    while (line := answers.readline().lower()) not in {b"\r\n", b""}:
        if line.startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
        chunked |= line.startswith(b"transfer-encoding:")
    while chunked:
        size = int(answers.readline(), 16)
        answers.read(size + 2)
        chunked = size > 0
    answers.read(length)


def processor_time(work: Callable[[], float], kind: str, transport: str = "stdio") -> float:
    """Return the processor time that the server takes for one call, in microseconds."""
    process = served(kind, transport, NEW)
    work()  # What is done once is done.
    before = used(process.pid)
    work()
    return (used(process.pid) - before) / CALLS / 1_000


def used(pid: int) -> int:
    """Return the nanoseconds of processor time that the threads of a process have taken."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(each.read_text().split()[0]) for each in threads)
