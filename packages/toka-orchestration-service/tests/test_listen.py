"""Addresses, and stopping."""

import socket
import subprocess
import sys

import anyio
import pytest

from toka.orchestration_service import AddressUnusable, Settings, serve

pytestmark = pytest.mark.anyio


async def test_listens_on_loopback_only(served):
    assert served.url.startswith("http://127.0.0.1:")


async def test_a_taken_port_is_said(served, tmp_path):
    port = int(served.url.rpartition(":")[2])
    again = serve(served.orchestrator, served.authenticator, Settings(tmp_path), port=port)
    with pytest.raises(AddressUnusable, match=f"127.0.0.1:{port} cannot be listened on"):
        async with again:
            pytest.fail("it listens")


async def test_a_request_in_flight_when_the_service_stops_is_answered_or_cut(opener):
    async with opener() as served:
        host, port = "127.0.0.1", int(served.url.rpartition(":")[2])
        connection = await anyio.connect_tcp(host, port)
        # A request that never ends must not hold the service up for longer than two seconds.
        await connection.send(b"POST /v1/runs HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
        began = anyio.current_time()
    assert anyio.current_time() - began < 4
    await connection.aclose()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, port), timeout=1)


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 70_000), ("no.such.host.invalid", 0)])
async def test_an_impossible_address_is_said(served, tmp_path, host, port):
    with pytest.raises(AddressUnusable):
        async with serve(
            served.orchestrator, served.authenticator, Settings(tmp_path), host=host, port=port
        ):
            pytest.fail("it listens")


def test_importing_the_package_does_not_import_the_http_library():
    """A service goes on with its runs before it can answer requests."""
    script = "import sys, toka.orchestration_service; sys.exit('aiohttp.web' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0  # noqa: S603
