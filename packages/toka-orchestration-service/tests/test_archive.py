"""Ended runs on disk: shown as those in memory, kept over restarts, made anew when damaged."""

import logging
import sqlite3

import anyio
import anyio.lowlevel
import pytest

from toka.orchestration import Runs
from toka.orchestration_service import _projection

pytestmark = pytest.mark.anyio


@pytest.fixture
def small(monkeypatch):
    """Keep two ended runs in memory, and move two at once."""
    monkeypatch.setattr(_projection, "ENDED_KEPT", 2)
    monkeypatch.setattr(_projection, "ARCHIVED_AT_ONCE", 2)


async def begin_many(served, count: int) -> list[str]:
    runs = []
    for _ in range(count):
        runs.append(await served.begin("hello.yaml"))
        await served.ended(runs[-1])
    return runs


async def listed(served, query: str = "") -> list[str]:
    found: list[str] = []
    after = ""
    while after is not None:
        _, page, _ = await served.ask(f"/v1/runs?after={after}&{query}")
        found += [run["run"] for run in page["runs"]]
        after = page["next"]
    return found


async def in_memory(served) -> int:
    _, body, _ = await served.ask("/v1/health")
    (figures,) = [part["figures"] for part in body["parts"] if part["name"] == "view"]
    assert figures["runs"] >= figures["in_memory"]
    return figures["in_memory"]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("limit", [1, 2, 100])
async def test_runs_on_disk_are_shown_as_those_in_memory(served, limit):
    waiting = await served.begin("asking.yaml")
    runs = [waiting, *await begin_many(served, 7)]
    assert await in_memory(served) < 6
    assert await listed(served, f"limit={limit}") == runs[::-1]
    assert await listed(served, f"limit={limit}&order=oldest") == runs
    assert await listed(served, f"limit={limit}&state=running") == [waiting]
    assert await listed(served, f"limit={limit}&state=completed&text=HELL") == runs[:0:-1]
    assert await listed(served, f"limit={limit}&text={runs[1][-9:]}") == [runs[1]]
    assert await listed(served, "text=nobody") == []
    _, page, _ = await served.ask("/v1/agents?limit=500")
    assert [agent["run"] for agent in page["agents"]] == runs
    _, page, _ = await served.ask(f"/v1/agents?limit=2&after={runs[1]}/hello")
    assert [agent["run"] for agent in page["agents"]] == runs[2:4]
    _, detail, _ = await served.ask(f"/v1/runs/{runs[1]}")
    assert (detail["run"]["state"], detail["agents"][0]["name"]) == ("completed", "hello")
    for path in ("graph", "tasks", "spans"):
        assert (await served.ask(f"/v1/runs/{runs[1]}/{path}"))[0] == 200
    _, agent, _ = await served.ask(f"/v1/agents/{runs[1]}/hello")
    assert agent["tasks"][0]["result"]["written"]["bytes"] == 13
    assert (await served.ask("/status"))[1]["spawned_agents"] == 8
    _, text, _ = await served.ask("/metrics")
    assert 'toka_runs{state="completed"} 7' in text
    assert "toka_steps_total 8" in text


@pytest.mark.usefixtures("small")
async def test_a_start_reads_on_from_where_the_archive_ends(opener, monkeypatch, caplog):
    async with opener() as served:
        waiting = await served.begin("asking.yaml")
        runs = [waiting, *await begin_many(served, 4)]
    async with opener() as served:
        runs += await begin_many(served, 4)
        assert await listed(served, "order=oldest") == runs
        assert (await served.ask("/status"))[1]["spawned_agents"] == 9
        await served.ask(f"/v1/runs/{waiting}/cancel", method="POST")
        runs += await begin_many(served, 2)
    assert not caplog.records
    read = []
    apply = Runs.apply
    monkeypatch.setattr(
        Runs, "apply", lambda runs, logged: read.append(logged) or apply(runs, logged)
    )
    async with opener() as served:
        assert await listed(served, "order=oldest") == runs
        assert (await served.ask("/status"))[1]["spawned_agents"] == 11
        # The last opening left nothing unfinished, so only what this one did is read.
        assert len(read) < 30
        assert (await served.ask(f"/v1/runs/{waiting}"))[1]["run"]["state"] == "cancelled"


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("damage", ["other log", "bytes", "format"])
async def test_an_archive_that_cannot_be_used_is_made_anew(opener, tmp_path, damage, caplog):
    async with opener() as served:
        runs = await begin_many(served, 5)
    path = tmp_path / "data" / "views.db"
    if damage == "bytes":
        path.write_bytes(b"nonsense" * 1_000)
    else:
        with sqlite3.connect(path) as database:
            change = {
                "other log": "UPDATE mark SET digest = x'00'",
                "format": "PRAGMA user_version = 9",
            }
            database.execute(change[damage])
        database.close()
    with caplog.at_level(logging.WARNING):
        async with opener() as served:
            assert await listed(served, "order=oldest") == runs
            assert (await served.ask("/status"))[1]["spawned_agents"] == 5


@pytest.mark.usefixtures("small")
async def test_without_a_place_for_the_archive_memory_keeps_every_run(opener, tmp_path):
    (tmp_path / "data" / "views.db").mkdir(parents=True)
    async with opener() as served:
        runs = await begin_many(served, 5)
        assert await in_memory(served) == 5
        assert await listed(served, "order=oldest") == runs


async def test_readers_that_wait_at_once_are_all_answered(served, monkeypatch):
    projection = _projection.Projection(served.runtime, served.runtime.clock)
    monkeypatch.setattr(projection, "_open", _no_archive)
    done = []

    async def read() -> None:
        done.append((await projection.current()).position)

    with anyio.fail_after(4):
        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(read)
            await anyio.lowlevel.checkpoint()
            group.start_soon(projection.follow)
            while len(done) < 5:
                await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()
    assert done == [served.runtime.position] * 5


async def _no_archive() -> None:
    return None
