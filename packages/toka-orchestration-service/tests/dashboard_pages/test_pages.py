"""Pages: each shows what the API says, and neither more nor anything that runs."""

import json
import re
from html.parser import HTMLParser

import pytest

from toka.orchestration_service import _window
from toka.orchestration_service.dashboard import _mount, _pages

pytestmark = pytest.mark.anyio

EVIL = "<img src=x onerror=alert(1)>'\"&{{ 7*7 }}</script>\u202eexe.txt\u200b\x1b[31m"
PLACES = ("/ui/runs", "/ui/start", "/ui/approvals", "/ui/events", "/ui/tools", "/ui/keys")


class Tags(HTMLParser):
    """Keeps what a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs


@pytest.fixture
async def evil(served, workspace):
    """A run whose every text was written by somebody hostile."""
    (workspace / "evil.yaml").write_text(
        """
metadata: {name: evil}
inputs:
  text: {default: x}
tasks:
  default:
    - {id: ask, description: "${inputs.text}", entry: "evil_code:ask"}
"""
    )
    (workspace / "evil_code.py").write_text(
        "async def ask(ctx):\n"
        "    text = ctx.inputs['text']\n"
        "    await ctx.observe('found', {text: text})\n"
        "    return await ctx.approve(text, details={text: text})\n"
    )
    status, body, _ = await served.ask(
        "/v1/runs", method="POST", json={"source": "evil.yaml", "inputs": {"text": EVIL}}
    )
    assert status == 201, body
    run = body["run"]["run"]
    await served.until("/v1/approvals", lambda body: body["approvals"])
    return run


async def test_every_page_shows_hostile_text_and_runs_none_of_it(served, browser, evil):
    await browser.sign_in(served.token(*browser.EVERYTHING))
    _, spans, _ = await served.ask(f"/v1/runs/{evil}/spans")
    step, asked = spans["spans"][0], spans["spans"][-1]
    places = (
        *PLACES,
        "/ui/health",
        f"/ui/runs/{evil}",
        f"/ui/agents/{evil}/evil",
        f"/ui/steps/{step['event']}",
        f"/ui/explain/{asked['event']}",
        f"/ui/events?text={'%3Cimg'}",
    )
    assert len({place.split("/")[2].partition("?")[0] for place in places}) == len(_pages.PAGES) - 1
    shown = 0
    for place in places:
        answer = await browser.ask(place)
        text = await answer.text()
        assert answer.status == 200, (place, text)
        page = Tags(text)
        assert "img" not in page.tags, place
        assert not [name for name, _ in page.attributes if name.startswith("on")], place
        assert not re.search("[\u202a-\u202e\u200b\x1b]", text), place
        assert "49" not in re.findall(r"&amp;(\d\d)", text), place
        shown += "⟨U+202E⟩exe.txt" in text
    assert shown >= 5


FORMS = """
metadata: {name: forms}
inputs:
  text: {default: x}
tasks:
  default:
    - {id: ask, description: Ask, entry: "forms_code:inquire"}
security: {capabilities_required: ["person:ask:operator"]}
"""
FORMS_CODE = """
async def inquire(ctx):
    text = ctx.inputs["text"]
    kinds = (
        {"enum": [text, 5]},
        {"type": "string", "maxLength": 9},
        {"type": "boolean"},
        {"type": "number"},
        {"type": "array", "items": {"type": "integer"}},
    )
    said = {"title": text, "description": text, "default": text}
    members = {f"{text[:5]}{n}": kind | said for n, kind in enumerate(kinds)}
    schema = {"type": "object", "properties": members, "required": list(members)[:1]}
    return await ctx.tool("ask_person", question=text, schema=schema)
"""


async def test_a_hostile_form_is_a_form_and_nothing_else(served, browser, workspace):
    (workspace / "forms.yaml").write_text(FORMS)
    (workspace / "forms_code.py").write_text(FORMS_CODE)
    asked = {"source": "forms.yaml", "inputs": {"text": EVIL}}
    status, body, _ = await served.ask("/v1/runs", method="POST", json=asked)
    assert status == 201, body
    await served.until("/v1/approvals", lambda body: body["approvals"])
    await browser.sign_in(served.token(*browser.EVERYTHING))
    text = await (await browser.ask("/ui/approvals")).text()
    page = Tags(text)
    assert "img" not in page.tags
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert not re.search("[\u202a-\u202e\u200b\x1b]", text)
    members = [value for name, value in page.attributes if name == "data-member"]
    assert [json.loads(member or "") for member in members] == [f"{EVIL[:5]}{n}" for n in range(5)]
    values = [value for name, value in page.attributes if name == "value" and value]
    assert json.dumps(EVIL) in [*map(_ascii, values)]


def _ascii(text: str) -> str:
    try:
        return json.dumps(json.loads(text))
    except ValueError:
        return ""


async def test_what_is_asked_for_is_shown_back_and_runs_nothing(served, browser):
    await browser.sign_in(served.token())
    for place in ("/ui/runs", "/ui/events", "/ui/start"):
        answer = await browser.ask(place, params={"text": EVIL[:150], "source": EVIL})
        assert answer.status == 200
        assert "img" not in Tags(await answer.text()).tags
    answer = await browser.ask("/ui/runs", params={"state": EVIL})
    assert answer.status == 400
    assert "img" not in Tags(await answer.text()).tags


async def test_a_page_needs_what_the_api_needs(served, browser):
    run = await served.begin("hello.yaml")
    await served.ended(run)
    await browser.sign_in(served.token("run:read:*"))
    assert (await browser.ask("/ui/runs")).status == 200
    assert (await browser.ask(f"/ui/runs/{run}")).status == 200
    for place, needed in (
        ("/ui/events", "event:read:**"),
        ("/ui/tools", "tool:read:*"),
        ("/ui/keys", "key:read:*"),
        ("/ui/health", "metrics:read:*"),
        (f"/ui/agents/{run}/hello", f"agent:read:{run}/hello"),
    ):
        answer = await browser.ask(place)
        assert answer.status == 403
        assert needed in await answer.text()


async def test_what_is_not_there_says_so(served, browser):
    await browser.sign_in(served.token())
    unknown = "01JD3X8ZK5Q6T7V8W9XAYBZCDE"
    for place in (
        "nothing",
        f"runs/{unknown}",
        f"steps/{unknown}",
        f"agents/{unknown}/x",
        "runs/x",
    ):
        answer = await browser.ask(f"/ui/{place}")
        assert answer.status == 404
        assert "Nothing here" in await answer.text()


async def test_lists_are_windowed(served, browser, monkeypatch):
    page = "/ui/runs"
    monkeypatch.setattr(_pages, "RUNS", 3)
    for _ in range(5):
        await served.begin("hello.yaml")
    await browser.sign_in(served.token())
    first = await (await browser.ask(page)).text()
    assert first.count('<tr data-key="') == 3
    older = re.findall(r'href="(\?after=[^"]+)"', first)[0]
    second = await (await browser.ask(page + older)).text()
    assert second.count('<tr data-key="') == 2


def positions_of(text: str) -> list[int]:
    return [int(each) for each in re.findall(r'<tr data-position="(\d+)"', text)]


@pytest.fixture
async def little(served, browser, monkeypatch):
    """A log of which most is left out, one request looking at four of its events."""
    run = await served.begin("ticking.yaml")
    await served.until("/v1/log?limit=1", lambda page: page["position"] > 60)
    await served.ask(f"/v1/runs/{run}/cancel", method="POST", json={})
    await served.ended(run)
    monkeypatch.setattr(_pages, "_LEASES", "step")
    monkeypatch.setattr(_pages, "EVENTS", 7)
    monkeypatch.setattr(_window, "MAX_SCANNED", 4)
    await browser.sign_in(served.token())
    return run


async def test_a_page_of_events_is_filled_across_those_that_are_left_out(
    served, browser, little, monkeypatch
):
    everything = []
    monkeypatch.setattr(_window, "MAX_SCANNED", 2_000)
    _, log, _ = await served.ask("/v1/log?limit=500&without=step")
    _, own, _ = await served.ask(f"/v1/log?limit=15&without=step&agent={little}/ticking")
    monkeypatch.setattr(_window, "MAX_SCANNED", 4)
    monkeypatch.setattr(_pages, "LOOKS", 1_000)
    place = "/ui/events?"
    while place is not None:
        text = await (await browser.ask(place)).text()
        everything += (rows := positions_of(text))
        older = re.search(r'data-older href="(\?after=[^"]+)"', text)
        place = f"/ui/events{older[1]}" if older else None
        assert len(rows) == 7 or place is None
    assert everything == [event["position"] for event in log["events"]]
    agent = await (await browser.ask(f"/ui/agents/{little}/ticking")).text()
    shown = re.findall(r'<tr data-key="([0-9A-Z]{26})"', agent)
    assert shown == [event["id"] for event in own["events"]] != []


async def test_a_page_without_any_event_is_live_and_says_how_far_it_looked(
    served, browser, little, monkeypatch
):
    monkeypatch.setattr(_pages, "_LEASES", "nothing-else-is-shown")
    monkeypatch.setattr(_pages, "LOOKS", 3)
    for query, streamed in (
        ("kind=budget", "kind=budget"),
        (f"agent={little}/ticking&kind=budget", f"kind=budget&amp;run={little}"),
    ):
        text = await (await browser.ask(f"/ui/events?{query}")).text()
        assert positions_of(text) == []
        assert "Nothing found here" in text
        position = served.runtime.position
        assert f'data-stream="{streamed}"' in text
        assert f'data-position="{position}"' in text
        assert "data-pause" in text
    assert "12 events looked at, back to its event" in text


async def test_tasks_are_found_by_their_state(served, browser, monkeypatch):
    monkeypatch.setattr(_pages, "TASKS", 1)
    run = await served.begin("hello.yaml")
    await served.ended(run)
    await browser.sign_in(served.token())
    some = await (await browser.ask(f"/ui/runs/{run}?state=completed")).text()
    assert f'data-key="{run}/hello#0"' in some
    none = await (await browser.ask(f"/ui/runs/{run}?state=failed")).text()
    assert "No such task" in none


async def test_a_page_says_where_in_the_log_it_was_drawn(served, browser):
    await browser.sign_in(served.token())
    before = served.runtime.position
    text = await (await browser.ask("/ui/runs")).text()
    position = int(re.findall(r'data-live="" data-position="(\d+)"', text)[0])
    assert before <= position <= served.runtime.position


async def test_the_root_leads_to_the_runs(browser):
    for path in ("/", "/ui"):
        assert (await browser.ask(path)).headers["Location"] == "/ui/runs"


async def test_what_goes_wrong_unexpectedly_is_a_page_too(served, browser, monkeypatch):
    async def broken(*_):
        raise ZeroDivisionError("the secret reason")

    await browser.sign_in(served.token())
    monkeypatch.setattr(_mount, "_page", broken)
    answer = await browser.ask("/ui/tools")
    text = await answer.text()
    assert (answer.status, answer.content_type) == (500, "text/html")
    assert "Something unexpected went wrong" in text
    assert "secret" not in text
