"""Servers of the Agent2Agent protocol on sockets, and tokens of a test."""

from __future__ import annotations

import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from toka.capability.core import PUBLIC_DENIAL, Claims, TokenRefusedError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

PERMISSION = "agent:message:helper"


def claims(subject: str = "ann", *permissions: str, **changes: Any) -> Claims:
    values = {"vault": "default", "issued_at": 0, "expires_at": 1 << 40, "token_id": subject}
    return Claims(subject=subject, permissions=permissions or (PERMISSION,), **(values | changes))


TOKENS = {
    "ann": claims("ann"),
    "ben": claims("ben"),
    "reader": claims("reader", "agent:read:**"),
    "foreign": claims("ann", vault="other"),
    "rich": claims("rich", budget=(("tokens", 5),)),
    "bound": claims("bound", holder="x" * 43),
}


def authenticate(token: str) -> Claims:
    if token not in TOKENS:
        raise TokenRefusedError.of(PUBLIC_DENIAL)
    return TOKENS[token]


@asynccontextmanager
async def _serving(make: Callable[[str], Any]) -> AsyncGenerator[str]:
    import uvicorn  # noqa: PLC0415 - only these tests need it

    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    config = uvicorn.Config(
        make(url), log_level="error", lifespan="on", ws="none", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    with listening:
        async with anyio.create_task_group() as group:
            group.start_soon(server.serve, [listening])
            while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
                await anyio.sleep(0.005)
            try:
                yield url
            finally:
                server.should_exit = True


@pytest.fixture
def serving() -> Callable[[Callable[[str], Any]], Any]:
    """Return a way to serve an application that is made for its URL."""
    return _serving


@pytest.fixture
def validate() -> Callable[[str], Claims]:
    return authenticate


class Secrets:
    """Secrets of a test."""

    def __init__(self, **values: str) -> None:
        self.values = values

    async def read(self, name: str) -> str:
        return self.values[name]


@pytest.fixture
def secrets() -> type[Secrets]:
    return Secrets
