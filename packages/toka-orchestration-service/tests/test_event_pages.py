"""The log in pages: order, filters, search with bounded work, and who may see what."""

import pytest

from toka.orchestration_service import _window

pytestmark = pytest.mark.anyio

UNKNOWN = "01JD3X8ZK5Q6T7V8W9XAYBZCDE"


async def pages(served, query: str, token: str | None = None) -> list[dict]:
    found: list[dict] = []
    after: str | None = "0"
    while after is not None:
        status, page, _ = await served.ask(f"/v1/log?after={after}&{query}", token=token)
        assert status == 200, page
        found += page["events"]
        after = page["next"]
    return found


@pytest.fixture
async def run(served) -> str:
    run = await served.begin("hello.yaml")
    await served.ended(run)
    return run


@pytest.mark.parametrize("limit", [1, 3, 100])
async def test_pages_hold_every_event_once_in_either_order(served, run, limit):
    forwards = await pages(served, f"order=oldest&limit={limit}")
    assert [event["position"] for event in forwards] == list(range(1, len(forwards) + 1))
    assert await pages(served, f"limit={limit}") == forwards[::-1]
    assert run in {event["intent"] for event in forwards}


@pytest.mark.parametrize("limit", [1, 100])
@pytest.mark.parametrize("order", ["newest", "oldest"])
async def test_filters_leave_what_fits(served, run, limit, order):
    await served.ended(await served.begin("hello.yaml"))
    everything = await pages(served, f"order={order}")
    how = f"order={order}&limit={limit}"
    of_run = [event for event in everything if event["intent"] == run]
    assert await pages(served, f"{how}&run={run}") == of_run
    of_agent = [event for event in of_run if event["stream"] == f"{run}/hello"]
    assert await pages(served, f"{how}&agent={run}/hello") == of_agent
    tasks = [event for event in of_agent if event["kind"].startswith("task.")]
    assert await pages(served, f"{how}&agent={run}/hello&kind=task") == tasks
    others = [event for event in of_agent if event not in tasks]
    assert await pages(served, f"{how}&agent={run}/hello&without=task") == others
    rest = [event for event in others if not event["kind"].startswith("step.")]
    assert await pages(served, f"{how}&agent={run}/hello&without=task&without=step.") == rest
    started = [event for event in tasks if event["kind"] == "task.started.v1"]
    assert await pages(served, f"{how}&run={run}&kind=task.started.v1") == started
    assert await pages(served, f"{how}&run={run}&kind=task.started&text=NOBODY") == []
    # The bodies that hold it: the definition, the grant, and the step that writes.
    written = await pages(served, f"{how}&run={run}&text=HELLO.txt")
    assert written == [event for event in of_run if "hello.txt" in str(event)]
    assert written


async def test_a_search_looks_at_so_many_events_and_says_how_to_go_on(served, run, monkeypatch):
    monkeypatch.setattr(_window, "MAX_SCANNED", 4)
    _, page, _ = await served.ask("/v1/log?text=nowhere-to-be-found")
    assert (page["events"], page["scanned"]) == ([], 4)
    assert page["next"] == str(page["position"] - 3)
    assert await pages(served, "text=nowhere-to-be-found") == []
    assert [event["intent"] for event in await pages(served, f"run={run}")]


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize("order", ["newest", "oldest"])
async def test_a_search_that_takes_long_says_how_to_go_on(served, monkeypatch, order):
    everything = await pages(served, f"order={order}")
    monkeypatch.setattr(_window, "MAX_NANOSECONDS", 0)
    monkeypatch.setattr(_window, "_CHUNK", 3)
    _, page, _ = await served.ask(f"/v1/log?order={order}&text=nowhere")
    assert (page["events"], page["scanned"], page["next"] is None) == ([], 3, False)
    assert await pages(served, f"order={order}&text=") == everything


async def test_what_has_come_since_is_behind_the_position(served, run):
    _, page, _ = await served.ask("/v1/log?limit=1")
    assert page["position"] == page["events"][0]["position"]
    other = await served.begin("hello.yaml")
    await served.ended(other)
    later = await pages(served, f"order=oldest&limit=100&run={other}")
    assert later[0]["position"] > page["position"]
    _, page, _ = await served.ask(f"/v1/log?order=oldest&after={page['position']}")
    assert run not in {event["intent"] for event in page["events"]}
    assert page["events"][-1]["intent"] == other


async def test_a_token_reads_what_it_covers(served, run):
    theirs = served.token(f"event:read:{run}/**")
    assert await pages(served, f"run={run}", theirs)
    assert await pages(served, f"agent={run}/hello", theirs)
    assert (await served.ask("/v1/log", token=theirs))[0] == 403
    assert (await served.ask(f"/v1/log?run={UNKNOWN}", token=theirs))[0] == 403
    one = served.token(f"event:read:{run}/hello/**")
    assert await pages(served, f"agent={run}/hello", one)
    assert (await served.ask(f"/v1/log?run={run}", token=one))[0] == 403


@pytest.mark.parametrize(
    "query",
    [
        "run=x",
        "agent=x/y",
        f"run={UNKNOWN}&agent=01JD3X8ZK5Q6T7V8W9XAYBZCDF/a",
        "after=-1",
        "order=up",
        "limit=0",
        "limit=501",
        "text=" + "x" * 201,
        "kind=a&" * 33,
    ],
)
async def test_bad_parameters_are_refused(served, query):
    status, body, _ = await served.ask(f"/v1/log?{query}")
    assert (status, body["code"]) == (400, "service.malformed")
