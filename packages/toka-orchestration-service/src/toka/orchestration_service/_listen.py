"""Listening on an address, and stopping in an orderly way."""

from __future__ import annotations

import importlib
from contextlib import asynccontextmanager
from socket import AddressFamily, create_server, socket
from typing import TYPE_CHECKING, Final

import anyio
import anyio.to_thread

from toka.orchestration_service._errors import AddressUnusable
from toka.orchestration_service._service import open_service
from toka.types import MAX_TOKEN_BYTES

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from aiohttp import web

    from toka.auth import Authenticator
    from toka.orchestration import Orchestrator
    from toka.orchestration_service._service import Service, Settings

LOOPBACK: Final = "127.0.0.1"
PORT: Final = 8080
_HEADER_BYTES: Final = MAX_TOKEN_BYTES + 1_024
_LAST_PORT: Final = 65_535
_LINGERING_SECONDS: Final = 0.5
"""How long the rest of a body is read that was refused, so that its sender gets to the answer."""
_SHUTDOWN_SECONDS: Final = 2.0
"""How long requests that are being answered may take to end when the service stops."""


@asynccontextmanager
async def serve(
    orchestrator: Orchestrator,
    authenticator: Authenticator,
    settings: Settings,
    *,
    host: str = LOOPBACK,
    port: int = PORT,
) -> AsyncGenerator[str, None]:
    """Serve until the block is left: stop accepting, end streams, give the runs' tasks back.

    Args:
        orchestrator: The engine, on a runtime that this process hosts.
        authenticator: Decides which tokens are good.
        settings: Where the service works.
        host: The address to listen on; nothing encrypts what is sent, so mind who can listen in.
        port: 0 for any that is free.

    Yields:
        The URL that answers.

    Raises:
        AddressUnusable: The port is taken, or the address is not one of this machine.
        LogFailed: The log could not be written while serving.
        StoreError: The log could not be read while serving.
    """
    # Bound before anything is opened: nothing has run if the address is not to be had.
    with _bound(host, port) as address:
        async with (
            open_service(orchestrator, authenticator, settings) as service,
            listen(service, address) as url,
        ):
            yield url


@asynccontextmanager
async def listen(service: Service, address: socket) -> AsyncGenerator[str, None]:
    """Answer requests for a service that is open, until the block is left.

    Args:
        service: From `open_service`.
        address: A socket that is bound.

    Yields:
        The URL that answers.
    """
    # In a thread, because it takes 200 ms and the runs that go on are not to wait for it.
    await anyio.to_thread.run_sync(importlib.import_module, "toka.orchestration_service._app")
    from aiohttp import web  # noqa: PLC0415 - see above

    runner = web.AppRunner(
        create_app(service),
        access_log=None,
        auto_decompress=False,
        lingering_time=_LINGERING_SECONDS,
        max_field_size=_HEADER_BYTES,
        shutdown_timeout=_SHUTDOWN_SECONDS,
    )
    await runner.setup()
    try:
        await web.SockSite(runner, address).start()
        yield _url_of(address)
    finally:
        service.closing.set()
        with anyio.CancelScope(shield=True):
            await runner.cleanup()


def create_app(service: Service) -> web.Application:
    """Return the application of a service that is open. Nothing allows other origins to read it."""
    from toka.orchestration_service._app import build_app  # noqa: PLC0415 - aiohttp

    return build_app(service)


def _bound(host: str, port: int) -> socket:
    family = AddressFamily.AF_INET6 if ":" in host else AddressFamily.AF_INET
    if not 0 <= port <= _LAST_PORT:
        raise _unusable(host, port, f"ports end at {_LAST_PORT}")
    try:
        return create_server((host, port), family=family)
    except OSError as error:
        raise _unusable(host, port, error.strerror or str(error)) from error


def _unusable(host: str, port: int, reason: str) -> AddressUnusable:
    return AddressUnusable(
        f"{host}:{port} cannot be listened on: {reason}.",
        hint="Choose another port, or 0 for any that is free.",
        details={"host": host, "port": port},
    )


def _url_of(address: socket) -> str:
    host, port, *_ = address.getsockname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
