"""Groups of three processes on loopback, files on a disk: ours and etcd's."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs
import msgspec

from raft_storage import FileStorage
from workshop.measure import NotInstalled, scratch
from workshop.shell import ROOT

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

HOST: Final = "127.0.0.1"
_PATIENCE: Final = 30.0
_LOAD: Final = Path(__file__).with_name("_raft_load.py")


@attrs.frozen
class Leader:
    """Where clients of a running group go: to the leader, which spares everybody a hop."""

    system: str
    port: int

    def load(self, kind: str, clients: int, seconds: float) -> Mapping[str, float]:
        """Let clients work; return what they saw."""
        arguments = (self.system, kind, HOST, str(self.port), str(clients), str(seconds))
        command = [sys.executable, str(_LOAD), *arguments]
        clients_process = start(command, {})
        output, _ = clients_process.communicate()
        if clients_process.returncode:
            raise RuntimeError(f"the clients of {self.system} failed")
        return msgspec.json.decode(output, type=dict[str, float])

    def describe(self) -> Mapping[str, int]:
        """Return what our leader says about itself."""
        return _describe(self.port)


@contextmanager
def ours(*options: str) -> Generator[Leader]:
    """Run three nodes of `integration-tests/raft_node`."""
    ports = free_ports(6)
    with scratch() as folder, ExitStack() as running:
        founders: list[str] = []
        for number in range(1, 4):
            with FileStorage.create(folder / str(number)) as store:
                founders.append(f"{number}@{HOST}:{ports[number - 1]}:{store.store_id}")
        for number in range(1, 4):
            command = [sys.executable, "-m", "raft_node", "run", "--id", str(number)]
            command += ["--folder", str(folder / str(number))]
            command += ["--peers", f"{HOST}:{ports[number - 1]}"]
            command += ["--clients", f"{HOST}:{ports[number + 2]}"]
            command += ["--found", *founders]
            running.enter_context(process(start([*command, *options], _IMPORTS)))
        yield Leader("ours", _our_leader(ports[3:]))


_IMPORTS: Final = {"PYTHONPATH": str(ROOT / "integration-tests")}


def _our_leader(ports: Sequence[int]) -> int:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        for number, port in enumerate(ports, 1):
            try:
                status = _describe(port)
            except OSError:
                continue
            if status["leader"] == number and status["applied"] > 1:
                return port
        time.sleep(0.05)
    raise RuntimeError("our nodes elect nobody")


def _describe(port: int) -> dict[str, int]:
    with socket.create_connection((HOST, port), timeout=2) as connection:
        body = msgspec.msgpack.encode((1, 3, b""))
        connection.sendall(len(body).to_bytes(4, "big") + body)
        size = int.from_bytes(connection.recv(4, socket.MSG_WAITALL), "big")
        reply = connection.recv(size, socket.MSG_WAITALL)
    _, _, description = msgspec.msgpack.decode(reply, type=tuple[int, int, bytes])
    return msgspec.msgpack.decode(description, type=dict[str, int])


@contextmanager
def etcd() -> Generator[Leader]:
    """Run three members of etcd, with its own settings.

    Raises:
        NotInstalled: There is no etcd.
    """
    program = shutil.which("etcd")
    if program is None:
        raise NotInstalled("no etcd; on Debian: apt install etcd-server")
    ports = free_ports(6)
    cluster = ",".join(f"n{number}=http://{HOST}:{ports[number]}" for number in range(3))
    with scratch() as folder, ExitStack() as running:
        for number in range(3):
            peer = f"http://{HOST}:{ports[number]}"
            client = f"http://{HOST}:{ports[number + 3]}"
            command = [program, "--name", f"n{number}", "--data-dir", str(folder / str(number))]
            command += ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer]
            command += ["--listen-client-urls", client, "--advertise-client-urls", client]
            command += ["--initial-cluster", cluster, "--log-level", "error"]
            running.enter_context(process(start(command, {})))
        yield Leader("etcd", _etcd_leader(ports[3:]))


def _etcd_leader(ports: Sequence[int]) -> int:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        for port in ports:
            request = urllib.request.Request(f"http://{HOST}:{port}/v3/maintenance/status", b"{}")
            try:
                with urllib.request.urlopen(request, timeout=2) as answer:  # noqa: S310
                    status = json.load(answer)
            except OSError:
                continue
            if status.get("leader") == status["header"]["member_id"]:
                return port
        time.sleep(0.05)
    raise RuntimeError("etcd elects nobody")


@contextmanager
def process(running: subprocess.Popen[bytes]) -> Generator[None]:
    """End a process with the block."""
    with running:
        try:
            yield
        finally:
            running.kill()


def start(command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a process in the real-time class where that is permitted, every system's alike.

    What else runs on the machine then takes nothing from what is measured.
    """
    return subprocess.Popen(  # noqa: S603
        [*_ahead(), *command],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


@cache
def _ahead() -> tuple[str, ...]:
    """Return what a command begins with so that it goes before all others."""
    chrt = shutil.which("chrt")
    if chrt is None:
        return ()
    ahead = (chrt, "--rr", "1")
    permitted = subprocess.run([*ahead, "true"], capture_output=True, check=False)  # noqa: S603
    return () if permitted.returncode else ahead


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on now."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.create_server((HOST, 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in sockets]
