import os
import shutil
import socket
import subprocess
import time

import pytest
from hypothesis import settings

settings.register_profile("toka-rate-limiter", max_examples=40, deadline=None)


@pytest.fixture(autouse=True, scope="session")
def _hypothesis():
    settings.load_profile("toka-rate-limiter")


class HandClock:
    """A clock that a test sets by hand, in microseconds."""

    def __init__(self, start=10**12):
        self.mono = start

    def now(self):
        raise AssertionError("the time of day plays no part in limits")

    def monotonic(self):
        return self.mono * 1_000

    async def sleep(self, nanoseconds):
        raise NotImplementedError

    def advance(self, microseconds):
        self.mono += microseconds


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def clock():
    return HandClock()


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def redis_port(tmp_path_factory):
    program = shutil.which("redis-server")
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail("redis-server is not installed; CI has to install it")
        pytest.skip("redis-server is not installed")
    port = _free_port()
    folder = tmp_path_factory.mktemp("redis")
    with subprocess.Popen(  # noqa: S603 - the program that `which` found
        [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)],
        stdout=subprocess.DEVNULL,
    ) as server:
        try:
            _wait_for(port, server)
            yield port
        finally:
            server.terminate()


def _wait_for(port, server):
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert server.poll() is None, "redis-server ended at once"
            assert time.monotonic() < deadline, "redis-server does not listen"
            time.sleep(0.01)
        else:
            return


@pytest.fixture
def redis_url(redis_port):
    import redis  # noqa: PLC0415 - only where there is a server

    url = f"redis://127.0.0.1:{redis_port}/0"
    with redis.Redis.from_url(url) as client:
        client.flushall()
    return url
