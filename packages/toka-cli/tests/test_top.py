"""`toka top`, driven as a person would, against a real service."""

import sys
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
from textual.pilot import Pilot

from toka.cli._client import Client
from toka.cli._top_app import TopApp

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def service(served, command, asking):
    allowed = ("--print-token", "--workspace", str(asking.parent))
    with served(command, *allowed) as service:
        yield service


@pytest.fixture
async def client(service) -> AsyncIterator[Client]:
    async with Client(service.url, service.token) as client:
        yield client


@pytest.fixture
def app(service) -> TopApp:
    return TopApp(Client(service.url, service.token), every=0.1)


def text_of(app: TopApp) -> str:
    """Return what is on the screen, line by line."""
    return "\n".join(
        "".join(segment.text for segment in strip).rstrip()
        for strip in app.screen._compositor.render_strips()
    )


def _beginnings(app: TopApp) -> list[list[str]]:
    return [line.split()[:3] for line in text_of(app).splitlines()]


async def until(pilot: Pilot, app: TopApp, wanted: str) -> str:
    with anyio.move_on_after(20):
        while wanted not in text_of(app):
            await pilot.pause(0.02)
    assert wanted in text_of(app)
    return text_of(app)


async def test_shows_runs_and_the_agents_of_the_chosen_one(app, client):
    async with app.run_test(size=(110, 24)) as pilot:
        assert "0 running of the newest 0, 0 agents so far" in await until(pilot, app, "0 running")
        begun = await client.post("/v1/runs", dict[str, Any], {"source": "asking.yaml"})
        run = begun["run"]["run"]
        await until(pilot, app, run)
        shown = await until(pilot, app, "1 to answer")
        assert "1 running of the newest 1, 1 agents so far, 1 to answer" in shown
        (line,) = [line for line in shown.splitlines() if run in line]
        assert line.split()[:5] == ["▶", "running", run, "asking", "0/1"]
        # The agent as it is in the log may be a moment newer than the run.
        with anyio.move_on_after(20):
            while ["▶", "running", "asking"] not in _beginnings(app):
                await pilot.pause(0.02)
        assert ["▶", "running", "asking"] in _beginnings(app)
        assert "q Leave  p Pause or go on  c Cancel (twice)" in shown


async def test_pauses_goes_on_and_cancels_when_asked_twice(app, client):
    await client.post("/v1/runs", dict[str, Any], {"source": "asking.yaml"})
    async with app.run_test(size=(110, 24)) as pilot:
        await until(pilot, app, "1 to answer")
        await pilot.press("p")
        await until(pilot, app, "‖ paused")
        await pilot.press("p")
        await until(pilot, app, "▶ running")
        await pilot.press("c")
        assert "cancelled" not in await until(pilot, app, "c again cancels")
        await pilot.press("c")
        await until(pilot, app, "- cancelled")
        await pilot.press("c", "p")
        assert "c again" not in text_of(app)


async def test_goes_on_when_the_service_is_gone_and_says_so(served, command, asking):
    with served(command, "--print-token", "--workspace", str(asking.parent)) as service:
        app = TopApp(Client(service.url, service.token), every=0.1)
        async with Client(service.url, service.token) as client:
            await client.post("/v1/runs", dict[str, Any], {"source": "asking.yaml"})
        context = app.run_test(size=(110, 24))
        pilot = await context.__aenter__()
        await until(pilot, app, "1 to answer")
    try:
        shown = await until(pilot, app, "trying again")
        assert "No Toka service answers" in shown
        assert "asking" in shown
    finally:
        await context.__aexit__(None, None, None)


async def test_an_answer_that_is_the_same_is_not_sent_again(client):
    first = await client.poll("/v1/runs", dict, limit="5")
    assert await client.poll("/v1/runs", dict, limit="5") is first
    await client.post("/v1/runs", dict[str, Any], {"source": "asking.yaml"})
    assert await client.poll("/v1/runs", dict, limit="5") != first


def test_says_what_is_missing(toka, monkeypatch):
    monkeypatch.delitem(sys.modules, "toka.cli._top_app", raising=False)
    for name in ("textual", "textual.app"):
        monkeypatch.setitem(sys.modules, name, None)
    result = toka("top", "--url", "http://127.0.0.1:1", "--token", "x")
    assert result.status == 2
    assert "pip install 'toka-cli[top]'" in result.err


def test_says_that_no_service_runs(toka):
    result = toka("top", "--token", "x")
    assert result.status == 2
    assert "toka serve" in result.err
