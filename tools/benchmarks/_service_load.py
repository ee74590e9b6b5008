"""A service in a process of its own, and clients that load it.

The clients share the machine with what they measure, so they do as little as can be done: they
write requests that are made beforehand and look for the end of the answer.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final
from urllib.request import Request, urlopen

import attrs

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

_CODE = """\
async def work(ctx):
    return None
"""
_SPEC = """\
metadata: {name: idle}
tasks: {default: [{id: work, description: do nothing, entry: "idle:work"}]}
"""
_LENGTH: Final = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)
_MIB: Final = 1 << 20


@attrs.frozen
class Server:
    """A service that answers."""

    port: int
    token: str = attrs.field(repr=False)
    pid: int

    def request(self, method: str, path: str, body: object = None, **headers: str) -> bytes:
        """Return a request as it goes over the wire."""
        data = b"" if body is None else json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{self.port}"]
        lines += [f"Authorization: Bearer {self.token}", f"Content-Length: {len(data)}"]
        if data:
            lines.append("Content-Type: application/json")
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode() + data

    @property
    def session(self) -> tuple[str, str]:
        """Return the cookie of somebody who has signed in, as name and value."""
        return f"toka_session_{self.port}", self.token

    def get(self, path: str) -> dict[str, object]:
        """Return what is at a path."""
        url = f"http://127.0.0.1:{self.port}{path}"
        asked = Request(url, headers={"Authorization": f"Bearer {self.token}"})
        with urlopen(asked, timeout=60) as answer:  # noqa: S310 - ours
            found: dict[str, object] = json.load(answer)
        return found

    def resident_megabytes(self) -> float:
        """Return the memory of the process."""
        with open(f"/proc/{self.pid}/status", encoding="ascii") as status:  # noqa: PTH123 - no file
            line = next(line for line in status if line.startswith("VmRSS:"))
        return int(line.split()[1]) * 1024 / _MIB

    def processor_seconds(self) -> float:
        """Return the processor time that the process has used."""
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as stat:  # noqa: PTH123 - no file
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100


@contextmanager
def served(folder: Path, *options: str) -> Generator[Server]:
    """Run `toka serve` on a data directory, with an agent that does nothing in its workspace."""
    (folder / "idle.py").write_text(_CODE)
    (folder / "idle.yaml").write_text(_SPEC)
    data = ["--data-dir", str(folder / "data")]
    command = [sys.executable, "-m", "toka.cli", "serve", "--port", "0", "--print-token", *data]
    process = subprocess.Popen(  # noqa: S603 - our own command
        [*command, *options],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        port, token = _greeting(process)
        yield Server(port, token, process.pid)
    finally:
        process.terminate()
        process.wait()


def _greeting(process: subprocess.Popen[str]) -> tuple[int, str]:
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    port = 0
    for line in process.stdout:
        found = re.match(r"Serving .* on http://[^:]*:(\d+)", line)
        port = int(found[1]) if found else port
        if line.count(".") == 2 and " " not in line.strip():  # noqa: PLR2004 - a token's parts
            return port, line.strip()
    raise RuntimeError("The service did not start.")


class _Client(asyncio.Protocol):
    """One connection, that asks one thing after another."""

    def __init__(self) -> None:
        self._answered: asyncio.Future[tuple[int, bytes]] | None = None
        self._data = b""
        self._wanted = 0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - of a socket
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        if not self._wanted:
            end = self._data.find(b"\r\n\r\n")
            if end < 0:
                return
            length = _LENGTH.search(self._data, 0, end + 2)
            self._wanted = end + 4 + (int(length[1]) if length else 0)
        if len(self._data) >= self._wanted and self._answered is not None:
            answer, self._data, self._wanted = self._data, b"", 0
            self._answered.set_result((int(answer[9:12]), answer))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(exc or ConnectionError("The service hung up."))

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Send a request and return status and answer."""
        assert self._transport is not None  # noqa: S101 - it is connected
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answered

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()


@attrs.define
class Load:
    """What clients saw."""

    seconds: float = 0
    latencies: list[float] = attrs.Factory(list[float])
    refused: int = 0

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.latencies) / self.seconds

    def percentile(self, share: float) -> float:
        """Return a percentile of the latencies, in milliseconds."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1_000


async def load(
    server: Server, request: bytes, clients: int, seconds: float, *, pace: float = 0
) -> Load:
    """Let clients ask the same thing again and again for some seconds; once at least.

    Args:
        server: Whom to ask.
        request: What to ask.
        clients: How many ask at the same time.
        seconds: How long.
        pace: How often all of them together ask in a second. What came late because the answer
            before did counts from when it was due. 0 for as often as they can.
    """
    loop = asyncio.get_running_loop()
    connections = [
        (await loop.create_connection(_Client, "127.0.0.1", server.port))[1] for _ in range(clients)
    ]
    result, began = Load(), time.perf_counter()

    async def work(number: int, client: _Client) -> None:
        due = began + number / pace if pace else 0.0
        while True:
            if pace:
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
            sent = due or time.perf_counter()
            status, _ = await client.ask(request)
            if status < 300:  # noqa: PLR2004 - what HTTP calls success
                result.latencies.append(time.perf_counter() - sent)
            else:
                result.refused += 1
            due += clients / pace if pace else 0.0
            if max(due, time.perf_counter()) >= began + seconds:
                return

    await asyncio.gather(*[work(*each) for each in enumerate(connections)])
    result.seconds = time.perf_counter() - began
    for client in connections:
        client.close()
    return result
