"""What happens is shown, each event once and none left out, also after the server was killed."""

import re
import signal

from playwright.sync_api import expect


def positions(page) -> list[int]:
    return page.evaluate(
        "[...document.querySelectorAll('#rows tr')].map(row => Number(row.dataset.position))"
    )


def wait_beyond(page, position: int) -> None:
    page.wait_for_function(
        "position => Number(document.querySelector('#rows tr')?.dataset.position) > position",
        arg=position,
    )


def test_the_log_goes_on_without_gap_or_repeat_after_a_kill(server, page, begin):
    begin("ticking.yaml")
    # Renewed leases are left out unless asked for, which would look like gaps.
    page.goto(f"{server.url}/ui/events?leases=all")
    page.evaluate("window.same = true")
    first = positions(page)[0]
    wait_beyond(page, first + 3)
    server.stop(signal.SIGKILL)
    lost = page.get_by_role("status").filter(has_text="Connection lost")
    expect(lost).to_be_visible()
    before = positions(page)[0]
    server.start()
    # The run goes on by itself, and so does the page.
    wait_beyond(page, before + 3)
    expect(lost).to_have_count(0)
    shown = positions(page)
    assert shown == list(range(shown[0], shown[-1] - 1, -1))
    assert first in shown
    assert page.evaluate("window.same")


def test_a_page_catches_up_after_a_restart(server, page, begin):
    run = begin("ticking.yaml")
    page.evaluate("window.same = true")
    server.stop()
    expect(page.get_by_role("status").filter(has_text="Connection lost")).to_be_visible()
    server.start()
    expect(page.locator("html")).to_have_attribute("data-connection", "live")
    steps = page.locator("dl.figures div").filter(has_text="Steps").locator("dd")
    before = steps.inner_text()
    expect(steps).not_to_have_text(before)
    assert run in page.url
    assert page.evaluate("window.same")


def test_what_is_being_written_and_focused_stays_while_a_page_is_renewed(page, begin):
    begin("ticking.yaml")
    page.get_by_role("button", name="Cancel").click()
    field = page.get_by_role("dialog").get_by_label("Reason")
    field.fill("half a sent")
    steps = page.locator("dl.figures div").filter(has_text="Steps").locator("dd")
    before = steps.inner_text()
    expect(steps).not_to_have_text(before)
    expect(field).to_be_focused()
    expect(field).to_have_value("half a sent")


def test_events_are_filtered_searched_and_held(server, page, begin):
    run = begin("ticking.yaml")
    page.goto(f"{server.url}/ui/events")
    page.keyboard.press("/")
    expect(page.get_by_label("Search")).to_be_focused()
    page.get_by_label("Search").fill("tick for EVER")
    page.get_by_label("Kind").fill("task.scheduled")
    page.get_by_label("Run").fill(run)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("kind=task.scheduled"))
    expect(page.locator("#rows tr")).to_have_count(1)
    page.get_by_role("link", name="Clear").click()
    page.get_by_label("Renewed leases").check()
    page.get_by_role("button", name="Filter").click()
    page.wait_for_url("**leases=all**")
    wait_beyond(page, positions(page)[0])
    page.get_by_role("button", name="Hold").click()
    page.wait_for_timeout(200)
    held = positions(page)
    page.wait_for_timeout(500)
    assert positions(page) == held
    page.get_by_role("button", name="Hold").click()
    wait_beyond(page, held[0])
    shown = positions(page)
    assert shown == list(range(shown[0], shown[-1] - 1, -1))


def test_older_events_are_a_page_away(server, page):
    page.goto(f"{server.url}/ui/events")
    oldest = positions(page)[-1]
    page.get_by_role("link", name="Older").click()
    page.wait_for_url("**after=**")
    assert positions(page)[0] < oldest
    page.get_by_role("link", name="Newest").click()


def test_a_session_that_ended_says_so(server, page, signed_in):
    page.goto(f"{server.url}/ui/health")
    cookies = signed_in.cookies()
    signed_in.clear_cookies()
    try:
        server.stop()
        server.start()
        expect(page.get_by_role("status")).to_contain_text("Your session has ended")
        expect(page.get_by_role("link", name="Sign in")).to_be_visible()
    finally:
        signed_in.add_cookies(cookies)


def test_every_page_of_the_newest_events_is_live(server, page, begin):
    run = begin("ticking.yaml")
    page.goto(f"{server.url}/ui/events?agent={run}/ticking")
    wait_beyond(page, positions(page)[0])
    # Of what it looked through, nothing fits: what fits comes later.
    page.goto(f"{server.url}/ui/events?run={run}&text=that+WILL+do")
    expect(page.get_by_text("Nothing found here")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("data-connection", "live")
    page.evaluate(
        """run => fetch(`/v1/runs/${run}/cancel`, {
            method: "POST", body: JSON.stringify({reason: "That will do."}), headers: {
                "Content-Type": "application/json",
                "X-Toka-Mark": document.querySelector("meta[name=toka-mark]").content}})""",
        run,
    )
    expect(page.locator("#rows tr").first).to_contain_text("That will do.")
    expect(page.get_by_text("Nothing found here")).to_have_count(0)


def test_older_events_begin_right_below_the_last_row_when_some_were_let_go_of(server, page, begin):
    begin("ticking.yaml")

    def keep_few(route):
        answer = route.fetch()
        few = answer.text().replace("const MOST = 200;", "const MOST = 55;")
        assert few != answer.text()
        route.fulfill(response=answer, body=few)

    page.route("**/events.js", keep_few)
    page.goto(f"{server.url}/ui/events?leases=all")
    wait_beyond(page, positions(page)[0] + 10)
    page.get_by_role("button", name="Hold").click()
    page.wait_for_timeout(200)
    last = positions(page)[-1]
    assert len(positions(page)) == 55
    page.get_by_role("link", name="Older").click()
    page.wait_for_url("**after=**")
    assert positions(page)[0] == last - 1
