"""A PostgreSQL server of the benchmark's own, started from what is installed."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from workshop.measure import NotInstalled, scratch

if TYPE_CHECKING:
    from collections.abc import Generator

START_SECONDS = 30


@contextmanager
def postgres() -> Generator[str]:
    """Lend a server with its defaults, fsync among them, and yield the address of a database.

    Raises:
        NotInstalled: there is no server here, or nobody it would run as.
    """
    programs, user = _programs(), _user()
    with scratch() as folder:
        if user:
            shutil.chown(folder, user)
        data, port = folder / "data", _free_port()
        initdb = [programs / "initdb", "-D", data, "-U", "bench", "-A", "trust", "-E", "UTF8"]
        subprocess.run(initdb, check=True, user=user, stdout=subprocess.DEVNULL)  # noqa: S603
        argv = [programs / "postgres", "-D", data, "-k", folder, "-p", str(port)]
        server = subprocess.Popen(argv, user=user, stderr=subprocess.DEVNULL)  # noqa: S603
        try:
            _wait_for(server, [programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)])
            yield f"postgresql://bench@127.0.0.1:{port}/postgres"
        finally:
            server.send_signal(signal.SIGINT)  # its fast shutdown
            server.wait()


def _programs() -> Path:
    found = [*sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")), shutil.which("initdb")]
    if not (initdb := next(filter(None, found), None)):
        raise NotInstalled("a PostgreSQL server (Debian's package postgresql)")
    return Path(initdb).parent


def _user() -> str | None:
    """Return whom the server must run as; it refuses to be root."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres").pw_name
    except KeyError:
        raise NotInstalled("a user that PostgreSQL can run as, since it refuses root") from None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_for(server: subprocess.Popen[bytes], is_ready: list[str | Path]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        if subprocess.run(is_ready, check=False).returncode == 0:  # noqa: S603
            return
        time.sleep(0.05)
    raise NotInstalled(f"a PostgreSQL server that starts (exit status {server.poll()})")
