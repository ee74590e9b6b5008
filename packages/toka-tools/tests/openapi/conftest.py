"""A server that repeats what it was sent, and documents that describe it."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from toka.tools import ToolRegistry
from toka.tools.openapi import OpenApiOptions, parse_openapi

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from toka.tools import ToolContext
    from toka.tools.openapi import OpenApiTools


class Secrets:
    """Secrets of a test."""

    def __init__(self, **values: str) -> None:
        self.values = values

    async def read(self, name: str) -> str:
        return self.values[name]


class Server:
    """Answers with what it is told to, or with what it was sent."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.answers: list[web.Response] = []
        self.url = ""

    async def handle(self, request: web.BaseRequest) -> web.Response:
        body = await request.read()
        sent = {
            "method": request.method,
            "path": request.rel_url.raw_path,
            "query": request.rel_url.raw_query_string,
            "headers": dict(request.headers),
            "body": body.decode("utf-8", "replace"),
        }
        self.requests.append(sent)
        return self.answers.pop(0) if self.answers else web.json_response(sent)

    @property
    def last(self) -> dict[str, Any]:
        return self.requests[-1]


@asynccontextmanager
async def _serving() -> AsyncGenerator[Server]:
    server = Server()
    runner = web.ServerRunner(web.Server(server.handle))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = site.name
    try:
        yield server
    finally:
        await runner.cleanup()


@pytest.fixture
async def server() -> AsyncGenerator[Server]:
    async with _serving() as running:
        yield running


def _document(paths: dict[str, Any], version: str = "3.1.0", **members: Any) -> dict[str, Any]:
    return {"openapi": version, "info": {"title": "T", "version": "1"}, "paths": paths, **members}


@pytest.fixture
def document() -> Callable[..., dict[str, Any]]:
    """Return a maker of documents from their paths."""
    return _document


@pytest.fixture
def made() -> Callable[..., OpenApiTools]:
    """Return a maker of tools from paths."""

    def make(
        paths: dict[str, Any], *, options: OpenApiOptions | None = None, **members: Any
    ) -> OpenApiTools:
        text = json.dumps(_document(paths, **members)).encode()
        return parse_openapi(text, options or OpenApiOptions(server="https://api.example.com"))

    return make


@pytest.fixture
def call(server: Server, context_for: Callable[..., ToolContext]):
    """Return a way to call the only operation of a document at the server."""

    async def run(
        operation: dict[str, Any],
        arguments: dict[str, Any] | None = None,
        *,
        path: str = "/p",
        method: str = "get",
        permissions: tuple[str, ...] = (),
        context: ToolContext | None = None,
        secrets: Secrets | None = None,
        members: dict[str, Any] | None = None,
        **options: Any,
    ) -> dict[str, Any]:
        text = json.dumps(_document({path: {method: operation}}, **(members or {}))).encode()
        wanted = OpenApiOptions(server=server.url, secrets=secrets or Secrets(), **options)
        (tool,) = parse_openapi(text, wanted).tools
        granted = (f"net:*:{server.url}/**", "net:private:127.0.0.1", *permissions)
        registry = ToolRegistry.of([tool])
        context = context or context_for(*granted)
        result = await registry.call(tool.name, arguments or {}, context)
        return {**result.value, "_result": result}  # type: ignore[dict-item]

    return run


@pytest.fixture
def secrets() -> type[Secrets]:
    return Secrets
