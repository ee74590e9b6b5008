"""A run is retried from one of its steps: found, confirmed, and seen to have been copied."""

import re

from playwright.sync_api import expect


def lane(page, name: str):
    """Return the rows of the time line that are called so."""
    return page.get_by_role("table").get_by_role("row").filter(has_text=name)


def test_a_run_is_retried_from_the_step_that_failed(page, begin, workspace, pictures):
    first = begin("mend.yaml")
    title = page.get_by_role("heading", level=1)
    expect(title).to_contain_text("failed")
    (workspace / "missing.txt").write_text("two")
    lane(page, "read_file").get_by_role("link").click()
    page.wait_for_url("**/ui/steps/*")
    page.get_by_role("button", name="Retry from here").click()
    dialog = page.get_by_role("dialog", name="Retry from this step?")
    expect(dialog).to_contain_text("read_file and all that follows it are done anew")
    page.screenshot(path=pictures / "retry-confirm.png")
    dialog.get_by_role("button", name="Leave it").click()
    expect(dialog).to_have_count(0)
    page.get_by_role("button", name="Retry from here").click()
    dialog.get_by_role("button", name="Retry from here").click()

    page.wait_for_url(lambda url: "/ui/runs/0" in url and first not in url)
    expect(title).to_contain_text("completed")
    expect(page.locator("dl.figures")).to_contain_text("1 copied")
    node = page.get_by_role("link", name=re.compile("^mend, completed.*1 steps? copied"))
    expect(node).to_be_visible()
    copied = lane(page, "write_file").first
    expect(copied.get_by_text("copied", exact=True)).to_be_visible()
    expect(copied.get_by_role("img")).to_have_attribute("aria-label", re.compile("copied"))
    expect(lane(page, "write_file").nth(1).get_by_text("copied", exact=True)).to_have_count(0)
    expect(page.get_by_role("link", name=first[-8:])).to_be_visible()
    page.screenshot(path=pictures / "retried-run.png", full_page=True)

    copied.get_by_role("link").click()
    page.wait_for_url("**/ui/steps/*")
    note = page.locator(".note").filter(has_text="this step was not done again")
    expect(note).to_contain_text(f"run {first[-8:]}, made")
    expect(note.get_by_title(f"{first}/mend")).to_have_text("mend")
    page.screenshot(path=pictures / "copied-step.png", full_page=True)
    note.get_by_role("link").click()
    expect(page.locator(".crumbs")).to_contain_text(first[-8:])


def test_a_step_of_a_run_that_goes_on_has_no_such_button(page, begin):
    begin("guarded.yaml")
    lane(page, "observe").get_by_role("link").click()
    page.wait_for_url("**/ui/steps/*")
    expect(page.get_by_role("heading", level=1)).to_contain_text("observe")
    expect(page.get_by_role("button", name="Retry from here")).to_have_count(0)


def test_a_retry_that_is_refused_says_why_where_it_was_asked(page, begin, workspace):
    begin("mend.yaml")
    expect(page.get_by_role("heading", level=1)).to_contain_text(re.compile("failed|completed"))
    lane(page, "read_file").get_by_role("link").click()
    page.wait_for_url("**/ui/steps/*")
    specification = workspace / "mend.yaml"
    before = specification.read_text()
    specification.write_text(before.replace("Use what", "Take what"))
    try:
        page.get_by_role("button", name="Retry from here").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("button", name="Retry from here").click()
        expect(dialog.get_by_role("alert")).to_contain_text("task 0 (work) differs in description")
        expect(dialog.get_by_role("alert")).to_contain_text("Put it back")
    finally:
        specification.write_text(before)
