"""Every page as a picture, as a hostile author wants it, and as assistive technology finds it."""

from importlib.resources import files

import pytest
from playwright.sync_api import expect

HIDDEN = "[\\u202a-\\u202e\\u200b\\u001b]"


@pytest.fixture(scope="module")
def axe() -> str:
    return files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def places(server, signed_in) -> dict[str, str]:
    """Every kind of page, of runs that a hostile author wrote and of one that failed."""
    page = signed_in.new_page()

    def begin(source: str) -> str:
        page.goto(f"{server.url}/ui/start")
        page.get_by_label("Specification", exact=True).fill(source)
        page.get_by_role("button", name="Start").first.click()
        page.wait_for_url("**/ui/runs/0*")
        return page.url.rsplit("/", 1)[1]

    form = begin("evil-form.yaml")
    expect(page.get_by_role("article")).to_be_visible()
    team, evil = begin("team"), begin("evil.yaml")
    expect(page.get_by_role("article")).to_be_visible()
    step = page.get_by_role("link", name="read_file").get_attribute("href")
    why = page.get_by_role("link", name="Why is this asked?").get_attribute("href")
    page.goto(f"{server.url}/ui/runs/{team}")
    expect(page.get_by_role("heading", level=1)).to_contain_text("failed")
    page.close()
    return {
        "runs": "/ui/runs",
        "start": "/ui/start",
        "run-failed": f"/ui/runs/{team}",
        "run-evil": f"/ui/runs/{evil}",
        "run-form": f"/ui/runs/{form}",
        "agent": f"/ui/agents/{evil}/evil",
        "agent-failed": f"/ui/agents/{team}/second",
        "step": str(step),
        "explain": str(why),
        "approvals": "/ui/approvals",
        "events": f"/ui/events?run={evil}",
        "events-none": "/ui/events?text=%3Cscript%3Ewindow.pwned=3%3C/script%3E",
        "tools": "/ui/tools",
        "keys": "/ui/keys",
        "health": "/ui/health",
        "nothing": "/ui/nothing",
    }


RULES = {
    "light": "{resultTypes: ['violations']}",
    # What is elsewhere than in light is only how it looks.
    "dark": "{resultTypes: ['violations'], runOnly: ['color-contrast']}",
    "phone": "{resultTypes: ['violations'], runOnly: ['target-size']}",
}


@pytest.mark.parametrize("look", RULES)
def test_every_page_is_accessible_and_runs_nothing_of_others(
    server, chromium, signed_in, places, axe, pictures, watch, look
):
    size = (390, 844) if look == "phone" else (1280, 800)
    context = chromium.new_context(
        storage_state=signed_in.storage_state(),
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if look == "dark" else "light",
        reduced_motion="reduce",
    )
    page = context.new_page()
    faults, found = watch(page), []
    for name, path in {**places, "login": "/ui/login"}.items():
        page.goto(server.url + path)
        page.evaluate(axe)
        result = page.evaluate(f"axe.run(document, {RULES[look]})")
        found += [
            (name, each["id"], [node["html"][:200] for node in each["nodes"]][:3])
            for each in result["violations"]
        ]
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (name, look)
        assert page.evaluate("document.querySelectorAll('main img, main script').length") == 0
        hidden = f"new RegExp('{HIDDEN}').test(document.documentElement.textContent)"
        assert not page.evaluate(hidden), name
        page.screenshot(path=pictures / f"{name}-{look}.png", full_page=True)
    assert page.evaluate("window.pwned") is None
    context.close()
    assert found == []
    assert faults == []


def test_hostile_text_is_shown_as_text(server, page, places):
    page.goto(server.url + places["approvals"])
    article = page.get_by_role("article").filter(has_text="evil")
    form = article.filter(has=page.get_by_role("button", name="Answer"))
    parts = [article.first, form.get_by_role("heading"), form.locator("option").nth(1)]
    for part in (*parts, *form.locator("label").all()[:6]):
        expect(part).to_contain_text('<img src=x onerror="window.pwned=1">')
        expect(part).to_contain_text("⟨U+202E⟩gnp.exe⟨U+200B⟩⟨U+001B⟩[2J")
        expect(part).to_contain_text("{{7*7}}${7*7}")


def test_a_hostile_form_is_answered_as_it_was_asked(server, page, places, workspace):
    page.goto(server.url + places["run-form"])
    article = page.get_by_role("article")
    article.locator("select").first.select_option(index=1)
    article.locator("select").last.select_option("no")
    for kind, text in (("text", "short"), ("number", "0.5")):
        article.locator(f"input[type={kind}]").first.fill(text)
    article.locator("textarea").first.fill("[1, 2]")
    article.get_by_role("button", name="Answer").click()
    expect(article).to_have_count(0)
    expect(page.get_by_role("heading", level=1)).to_contain_text("completed")
    run = places["run-form"].rpartition("/")[2]
    agent = page.request.get(f"{server.url}/v1/agents/{run}/evil-form").json()
    said = {"1": "short", "2": False, "3": 0.5, "4": [1, 2]}
    assert agent["tasks"][0]["result"] == {"0": (workspace / "evil.txt").read_text(), **said}


def test_hostile_events_that_arrive_are_shown_as_text(server, page):
    page.goto(f"{server.url}/ui/events?kind=observation")
    begin_page = page.context.new_page()
    begin_page.goto(f"{server.url}/ui/start")
    begin_page.get_by_label("Specification", exact=True).fill("evil.yaml")
    begin_page.get_by_role("button", name="Start").first.click()
    page.bring_to_front()
    expect(page.locator("#rows tr.fresh").first).to_contain_text("⟨U+202E⟩gnp.exe")
    begin_page.close()
