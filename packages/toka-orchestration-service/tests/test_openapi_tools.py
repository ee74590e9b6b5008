"""The service's own document as tools: what it says is enough to work with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from toka.capability.core import PermissionSet
from toka.tools import AccessDeniedError, ToolContext, ToolRegistry, Workspace
from toka.tools.openapi import InvalidDocumentError, OpenApiOptions, fetch_openapi

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

pytestmark = pytest.mark.anyio


class OneSecret:
    def __init__(self, value: str) -> None:
        self._value = value

    async def read(self, name: str) -> str:
        assert name == "toka-token"
        return self._value


def _context(served, *more: str) -> ToolContext:
    granted = (f"net:*:{served.url}/**", "net:private:127.0.0.1", *more)
    return ToolContext(Workspace(Path.cwd()), PermissionSet.parse(granted))


@pytest.fixture
async def ask(served) -> Callable[..., Awaitable[Any]]:
    options = OpenApiOptions(
        prefix="toka_", security={"capability": "toka-token"}, secrets=OneSecret(served.token())
    )
    url, context = f"{served.url}/openapi.json", _context(served, "secret:use:toka-token")
    made = await fetch_openapi(url, context, options, bearer="toka-token")
    registry = ToolRegistry.of(made.tools)
    assert [each.operation for each in made.skipped] == ["stream_events"]

    async def call(tool: str, **arguments: Any) -> Any:
        context = _context(served, "secret:use:toka-token")
        return (await registry.call(f"toka_{tool}", arguments, context)).value

    return call


async def test_a_run_is_begun_watched_and_explained_by_tools(served, ask) -> None:
    started = await ask("start_run", body={"source": "hello.yaml"})
    assert (started["status"], started["ok"]) == (201, True)
    run = started["body"]["run"]["run"]
    await served.ended(run)
    seen = await ask("get_run", run=run)
    assert seen["body"]["run"]["state"] == "completed"
    (page,) = [(await ask("list_events", run=run, kind=["task.completed.v1"]))["body"]]
    assert page["events"]
    listed = await ask("list_runs", limit=1, order="newest")
    assert [each["run"] for each in listed["body"]["runs"]] == [run]


async def test_every_reading_operation_keeps_what_the_document_promises(ask) -> None:
    for tool in ("health", "status", "list_names", "list_agents", "list_tools", "list_keys"):
        assert (await ask(tool))["ok"], tool
    assert "# HELP" in (await ask("metrics"))["body"]


async def test_a_refusal_is_a_result_with_its_problem(ask) -> None:
    answer = await ask("get_run", run="01JD3X8ZK5Q6T7V8W9XAYBZCDE")
    assert (answer["ok"], answer["status"]) == (False, 404)
    assert answer["problem"]["code"]


async def test_without_the_grant_of_the_secret_nothing_is_sent(served) -> None:
    options = OpenApiOptions(
        security={"capability": "toka-token"}, secrets=OneSecret(served.token())
    )
    url = f"{served.url}/openapi.json"
    with pytest.raises(AccessDeniedError, match="secret:use:toka-token"):
        await fetch_openapi(url, _context(served), options, bearer="toka-token")
    with pytest.raises(InvalidDocumentError, match="status 401"):
        await fetch_openapi(url, _context(served), options)
