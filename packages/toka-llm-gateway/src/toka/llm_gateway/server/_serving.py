"""A gateway on an address, for as long as it is entered."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aiohttp import web

from toka.llm_gateway._errors import ConfigurationInvalid

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from toka.llm_gateway.server._gateway import Gateway


@asynccontextmanager
async def serve(
    gateway: Gateway, *, host: str = "127.0.0.1", port: int = 0
) -> AsyncGenerator[str, None]:
    """Serve a gateway, and give its address.

    Args:
        gateway: What to serve. Its models are closed at the end.
        host: The address to listen on.
        port: The port; 0 for any that is free.

    Raises:
        ConfigurationInvalid: The address cannot be listened on.

    """
    # Who hangs up is not worked for any longer.
    runner = web.AppRunner(
        gateway.application(), access_log=None, handler_cancellation=True, shutdown_timeout=5
    )
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise ConfigurationInvalid(
                f"The address {host}:{port} cannot be listened on: {error.strerror}."
            ) from error
        bound = runner.addresses[0][1]
        shown = f"[{host}]" if ":" in host else host
        yield f"http://{shown}:{bound}"
    finally:
        await runner.cleanup()
