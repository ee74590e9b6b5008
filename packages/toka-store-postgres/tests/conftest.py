from __future__ import annotations

import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import pytest

from toka.store.core.testing import memory_folder

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def _programs() -> Path:
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = str(installed[-1]) if installed else shutil.which("initdb")
    if found is None:
        pytest.fail("These tests start a PostgreSQL server: install Debian's package postgresql.")
    return Path(found).parent


def _user() -> str | None:
    """Return whom the server must run as; it refuses to be root."""
    return pwd.getpwnam("postgres").pw_name if os.geteuid() == 0 else None


def _free_port() -> int:
    # Below those that systems give to outgoing connections: while the server is down, nobody
    # gets its.
    while True:
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", random.randrange(10_000, 32_000)))  # noqa: S311
            return int(probe.getsockname()[1])


@attrs.define
class PostgresServer:
    """A server with its defaults, in a folder and on a port of its own."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    def start(self, *settings: str) -> None:
        postgres = [str(_programs() / "postgres"), "-D", str(self.folder / "data")]
        postgres += ["-k", str(self.folder), "-p", str(self.port)]
        for setting in settings:
            postgres += ["-c", setting]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(postgres, user=_user(), cwd="/", stderr=log)  # noqa: S603
        ready = [str(_programs() / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        deadline = time.monotonic() + 30
        while subprocess.run(ready, check=False).returncode:  # noqa: S603
            assert self.process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline, "the server does not start"
            time.sleep(0.02)

    def stop(self, how: int = signal.SIGINT) -> None:
        """End it: SIGINT is its fast shutdown, SIGQUIT an immediate one, as a crash."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait()
            self.process = None

    def location(self, schema: str = "toka") -> str:
        return f"//toka@127.0.0.1:{self.port}/postgres?schema={schema}"


@pytest.fixture(scope="session")
def cluster() -> Iterator[Path]:
    """What a new server begins with. To make it takes a second, to copy it a tenth."""
    with memory_folder() as folder:
        if (user := _user()) is not None:
            shutil.chown(folder, user)
        initdb = [str(_programs() / "initdb"), "-D", str(folder / "data"), "-U", "toka"]
        initdb += ["-A", "trust", "-E", "UTF8", "--no-sync", "--locale", "C"]
        subprocess.run(initdb, check=True, user=user, cwd="/", stdout=subprocess.DEVNULL)  # noqa: S603
        yield folder


@contextmanager
def _started(cluster: Path, *settings: str) -> Iterator[PostgresServer]:
    # In memory: what is tried is what the server promises when it ends, not the disk below it.
    with memory_folder() as folder:
        subprocess.run(["cp", "-a", f"{cluster}/.", folder], check=True)  # noqa: S603, S607
        server = PostgresServer(folder, _free_port())
        server.start(*settings)
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="session")
def server(cluster: Path) -> Iterator[PostgresServer]:
    """A server that all tests share, each with schemas of its own; it is never killed."""
    with _started(cluster, "fsync=off") as server:
        yield server


@pytest.fixture
def own_server(cluster: Path) -> Iterator[PostgresServer]:
    """A server that a test may kill."""
    with _started(cluster) as server:
        yield server


@pytest.fixture(scope="session")
def schema_names() -> Iterator[str]:
    return (f"place_{number}" for number in range(1_000_000))


@pytest.fixture
def location(server: PostgresServer, schema_names: Iterator[str]) -> str:
    return server.location(next(schema_names))
