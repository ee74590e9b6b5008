"""What people do: each action by its button, and what the page then shows."""

import re

from playwright.sync_api import expect


def test_a_run_is_paused_resumed_and_cancelled(page, begin):
    begin("ticking.yaml")
    title = page.get_by_role("heading", level=1)
    expect(title).to_contain_text("running")
    page.get_by_role("button", name="Pause").click()
    dialog = page.get_by_role("dialog", name="Pause this run?")
    dialog.get_by_label("Reason").fill("Lunch.")
    dialog.get_by_role("button", name="Pause").click()
    expect(title).to_contain_text("paused")
    expect(page.get_by_text("Lunch.", exact=True)).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    expect(title).to_contain_text("running")
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Cancel the run").click()
    expect(title).to_contain_text("cancelled")
    expect(page.get_by_role("button", name="Pause")).to_have_count(0)


def test_an_ended_run_is_begun_again(page, begin):
    first = begin("guarded.yaml")
    page.get_by_role("button", name="Approve").click()
    page.get_by_role("button", name="Run again").click()
    page.wait_for_url(lambda url: "/ui/runs/0" in url and first not in url)
    expect(page.get_by_role("article", name="May I delete 14 old backups?")).to_be_visible()
    page.get_by_role("button", name="Deny").click()
    expect(page.get_by_role("article")).to_have_count(0)


def test_a_question_is_denied_with_a_reason(server, page, begin):
    run = begin("guarded.yaml")
    question = page.get_by_role("article", name="May I delete 14 old backups?")
    question.get_by_label("Reason").fill("Keep them.")
    question.get_by_role("button", name="Deny").click()
    expect(question).to_have_count(0)
    page.goto(f"{server.url}/ui/events?run={run}&kind=approval.resolved")
    expect(page.get_by_role("main")).to_contain_text("Keep them.")


def test_a_question_is_answered_with_what_it_asks_for(server, page, begin):
    run = begin("inquiring.yaml")
    question = page.get_by_role("article", name="Where to?")
    question.get_by_label("Place").select_option("there")
    question.get_by_label("days").fill("0")
    question.get_by_role("button", name="Answer").click()
    expect(question.get_by_role("alert")).to_contain_text("'days' is less than 1")
    question.get_by_label("days").fill("3")
    question.get_by_role("button", name="Answer").click()
    # What comes next is asked with the answer on record.
    question = page.get_by_role("article", name="And then?")
    question.get_by_label("Answer", exact=True).fill('"Straight" on,\n<b>then</b> {"left": 1}')
    question.get_by_role("button", name="Answer").click()
    expect(question).to_have_count(0)
    expect(page.get_by_role("heading", level=1)).to_contain_text("completed")
    page.goto(f"{server.url}/ui/agents/{run}/inquiring")
    expect(page.get_by_role("main")).to_contain_text("<b>then</b>")
    agent = page.request.get(f"{server.url}/v1/agents/{run}/inquiring").json()
    assert agent["tasks"][0]["result"] == {
        "said": {"where": "there", "days": 3},
        "then": '"Straight" on,\n<b>then</b> {"left": 1}',
    }


def test_who_declines_to_answer_says_why(page, begin):
    begin("inquiring.yaml")
    question = page.get_by_role("article", name="Where to?")
    question.get_by_label("Reason").fill("Ask <b>finance</b>.")
    question.get_by_role("button", name="Decline").click()
    expect(question).to_have_count(0)
    expect(page.get_by_role("heading", level=1)).to_contain_text("failed")
    expect(page.get_by_role("main")).to_contain_text("declined to answer: Ask <b>finance</b>.")


def test_what_is_refused_says_why_where_it_was_asked(server, page):
    page.goto(f"{server.url}/ui/start")
    page.get_by_label("Specification", exact=True).fill("../outside.yaml")
    page.get_by_role("button", name="Start").first.click()
    expect(page.get_by_role("alert").first).to_contain_text("outside the service's workspace")
    page.get_by_label("Specification as JSON").fill("{")
    page.get_by_role("button", name="Start").last.click()
    expect(page.get_by_role("alert").last).to_contain_text("JSON")


def test_a_run_is_begun_from_a_document(server, page):
    page.goto(f"{server.url}/ui/start")
    page.get_by_label("Specification as JSON").fill(
        '{"metadata": {"name": "written"}, "tasks": {"default": [{"id": "w", "description":'
        ' "Write", "steps": [{"tool": "write_file", "with": {"path": "${run.artifacts}/x",'
        ' "content": "x"}}]}]}, "security": {"capabilities_required":'
        ' ["fs:write:${run.artifacts}/**"]}}'
    )
    page.get_by_role("button", name="Start").last.click()
    page.wait_for_url("**/ui/runs/0*")
    expect(page.get_by_role("heading", level=1)).to_contain_text(re.compile("written.*completed"))


def test_an_agent_is_paused_and_resumed(page, begin):
    begin("ticking.yaml")
    page.get_by_role("link", name=re.compile("^ticking, running")).click()
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("paused")
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("running")


def test_everything_is_reached_by_keys(page, begin):
    begin("guarded.yaml")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("a")
    page.wait_for_url("**/ui/approvals")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    focused = [page.evaluate("document.activeElement.id")]
    for _ in range(30):
        page.keyboard.press("Tab")
        text = page.evaluate("document.activeElement.textContent.trim()")
        focused.append(text)
        if text == "Approve":
            break
    assert focused[-1] == "Approve", focused
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    question = page.get_by_role("article").filter(has=page.locator(":focus"))
    name = question.get_attribute("id")
    page.keyboard.press("Enter")
    expect(page.locator(f"#{name}")).to_have_count(0)


def test_the_theme_is_kept(page):
    page.get_by_role("button", name="Theme").click()
    theme = page.locator("html").get_attribute("data-theme")
    page.reload()
    assert page.locator("html").get_attribute("data-theme") == theme
    page.get_by_role("button", name="Theme").click()


def test_signing_out_ends_the_session_in_this_browser(server, chromium, signed_in):
    context = chromium.new_context(storage_state=signed_in.storage_state())
    page = context.new_page()
    page.goto(f"{server.url}/ui/tools")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/ui/login")
    page.goto(f"{server.url}/ui/tools")
    expect(page).to_have_url(re.compile("/ui/login"))
    context.close()
