"""What a person does first: sign in, start the example, watch it, allow something, read."""

import re

from playwright.sync_api import expect


def test_a_persons_first_five_minutes(server, chromium, page, begin):
    # The link was used to get here, and works once.
    stranger = chromium.new_context()
    again = stranger.new_page()
    again.goto(server.used)
    expect(again.get_by_role("alert")).to_contain_text("used before")
    assert "#" not in again.url
    stranger.close()

    # The example: a model reviews a file. Nothing is reloaded while it goes on.
    expect(page.get_by_role("heading", name="Runs", exact=True)).to_be_visible()
    begin("examples/llm-review", "file=subject.py")
    page.evaluate("window.same = true")
    expect(page.get_by_role("heading", level=1)).to_contain_text(
        re.compile("llm-review.*completed")
    )
    expect(
        page.get_by_role("link", name=re.compile("llm-review, completed, 2 of 2"))
    ).to_be_visible()
    assert page.evaluate("window.same")

    # Its report is what it wrote.
    page.get_by_role("link", name="write_file").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("write_file")
    expect(page.get_by_label("Arguments")).to_contain_text("Line 2 divides by zero.")
    expect(page.get_by_role("heading", name="Who allowed it")).to_be_visible()

    # Something that a person must allow is asked, wherever one looks.
    begin("guarded.yaml")
    page.get_by_role("link", name=re.compile(r"Approvals \d+ waiting")).click()
    question = page.get_by_role("article", name="May I delete 14 old backups?")
    expect(question).to_contain_text('"old backups": 14')
    question.get_by_label("Reason").fill("They are on tape, too.")
    question.get_by_role("button", name="Approve").click()
    expect(question).to_have_count(0)

    # And what came of it can be read.
    page.get_by_role("link", name="Runs").click()
    page.get_by_role("link", name="guarded").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("completed")
    page.get_by_role("link", name=re.compile("guarded, completed")).click()
    page.get_by_text("Result,").click()
    expect(page.get_by_role("main")).to_contain_text("14 old backups are gone.")
    expect(page.get_by_role("main")).to_contain_text("approval.resolved")
