"""What may be changed while a service runs."""

from collections.abc import AsyncIterator

import anyio
import attrs
import pytest

from toka.orchestration_service import Live, Settings, _executions, serve

pytestmark = pytest.mark.anyio


@pytest.fixture
def live() -> Live:
    return Live()


@pytest.fixture
async def changeable(served, live, tmp_path, workspace) -> AsyncIterator:
    settings = Settings(tmp_path / "data", workspace, live=live)
    async with serve(served.orchestrator, served.authenticator, settings, port=0) as url:
        yield attrs.evolve(served, url=url)


async def test_a_run_too_many_is_refused_from_the_moment_on_at_which_the_bound_is_set(
    changeable, live, monkeypatch
):
    monkeypatch.setattr(_executions, "PATIENCE_SECONDS", 0.1)
    first = await changeable.begin("asking.yaml")
    live.unfinished_runs = 1
    status, body, _ = await changeable.ask("/v1/runs", method="POST", json={"source": "hello.yaml"})
    assert (status, body["code"]) == (429, "service.too_many")
    live.unfinished_runs = 2
    await changeable.begin("hello.yaml")
    await changeable.ask(f"/v1/runs/{first}/cancel", method="POST", json={"reason": "enough"})


async def test_who_would_begin_a_run_too_many_waits_for_one_to_end(changeable, live, monkeypatch):
    monkeypatch.setattr(_executions, "PATIENCE_SECONDS", 60.0)
    first = await changeable.begin("asking.yaml")
    live.unfinished_runs = 1
    async with anyio.create_task_group() as group:
        group.start_soon(changeable.begin, "hello.yaml")
        await anyio.wait_all_tasks_blocked()
        await changeable.ask(f"/v1/runs/{first}/cancel", method="POST", json={"reason": "enough"})


async def test_who_waits_for_room_is_one_of_a_few(changeable, live, monkeypatch):
    monkeypatch.setattr(_executions, "PATIENCE_SECONDS", 60.0)
    monkeypatch.setattr(_executions, "MAX_WAITING", 0)
    live.unfinished_runs = 0
    status, body, _ = await changeable.ask("/v1/runs", method="POST", json={"source": "hello.yaml"})
    assert (status, body["code"]) == (429, "service.too_many")


async def test_runs_wait_for_one_another_and_go_on_when_more_are_allowed(changeable, live):
    live.runs_at_once = 1
    await changeable.begin("asking.yaml")
    await changeable.until("/v1/approvals", lambda body: body["approvals"])
    waiting = await changeable.begin("hello.yaml")
    _, body, _ = await changeable.ask(f"/v1/runs/{waiting}")
    assert body["run"]["ended"] is None
    live.runs_at_once = 2
    assert (await changeable.ended(waiting))["run"]["state"] == "completed"


async def test_another_folder_holds_for_runs_that_are_begun_then(changeable, live, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    live.workspace = other
    status, body, _ = await changeable.ask("/v1/runs", method="POST", json={"source": "hello.yaml"})
    assert (status, body["code"]) == (422, "spec.file")
    live.workspace = None
    assert await changeable.begin("hello.yaml")
