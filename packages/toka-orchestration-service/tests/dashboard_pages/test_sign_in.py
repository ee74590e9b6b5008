"""Signing in: what a browser gets, and what others cannot make it do."""

import re

import pytest

from toka.orchestration_service import SignInLinks
from toka.orchestration_service.dashboard._links import MAX_LINKS
from toka.orchestration_service.dashboard._session import mark_of

pytestmark = pytest.mark.anyio

SAME = {"Sec-Fetch-Site": "same-origin"}


async def test_a_stranger_is_sent_to_the_sign_in_wherever_he_goes(browser):
    for path in ("/ui/runs", "/ui/nothing", "/ui/runs/01JD3X8ZK5Q6T7V8W9XAYBZCDE"):
        answer = await browser.ask(path)
        assert answer.status == 303
        assert answer.headers["Location"].startswith("/ui/login")


async def test_a_token_begins_a_session_that_scripts_and_other_sites_cannot_use(served, browser):
    answer = await browser.sign_in(served.token())
    assert (answer.status, answer.headers["Location"]) == (303, "/ui/runs")
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert "Max-Age" not in cookie
    assert (await browser.ask("/ui/runs")).status == 200
    assert (await browser.ask("/v1/runs")).status == 200


@pytest.mark.parametrize("token", ["", "x", "eyJhbGciOiJub25lIn0.e30.", "x" * 9_000])
async def test_a_bad_token_begins_no_session(browser, token):
    answer = await browser.sign_in(token)
    assert answer.status == 401
    assert 'role="alert"' in await answer.text()
    assert not browser.cookies


async def test_a_session_ends_with_its_token(served, browser):
    await browser.sign_in(served.token())
    served.revocations.revoke_subject("toka", "tester", issued_until=2**40)
    assert (await browser.ask("/ui/runs")).status == 303
    assert (await browser.ask("/ui/runs", headers={"X-Toka-Live": "1"})).status == 401
    assert (await browser.ask("/v1/runs")).status == 401


async def test_signing_out_takes_the_cookie_away(served, browser):
    await browser.sign_in(served.token())
    answer = await browser.ask("/ui/logout", "POST")
    assert answer.headers["Location"] == "/ui/login"
    assert not any(browser.cookies.values())


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://elsewhere.example"},
        {"Origin": "null"},
    ],
)
async def test_no_other_page_signs_anybody_in_or_out(served, browser, headers):
    token = served.token()
    assert (await browser.sign_in(token, headers=headers)).status == 403
    assert (await browser.ask("/ui/logout", "POST", headers=headers)).status == 403


async def test_an_old_browser_says_its_origin_instead(served, browser):
    assert (await browser.sign_in(served.token(), headers={"Origin": served.url})).status == 303


async def test_a_session_changes_nothing_without_the_mark_of_our_pages(served, browser):
    token = served.token()
    await browser.sign_in(token)
    body = {"source": "hello.yaml"}
    mark = {"X-Toka-Mark": mark_of(token)}
    for headers in (
        {},
        SAME,
        {"X-Toka-Mark": mark_of(served.token())} | SAME,
        {"Sec-Fetch-Site": "same-site"} | mark,
        {"Sec-Fetch-Site": "cross-site"} | mark,
    ):
        answer = await browser.ask("/v1/runs", "POST", json=body, headers=headers)
        assert (answer.status, (await answer.json())["code"]) == (403, "service.foreign_request")
    answer = await browser.ask("/v1/runs", "POST", json=body, headers=SAME | mark)
    assert answer.status == 201


async def test_the_pages_of_another_port_read_nothing_by_a_session(served, browser):
    await browser.sign_in(served.token())
    headers = {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"}
    for path in ("/v1/runs", "/v1/events", "/ui/runs"):
        assert (await browser.ask(path, headers=headers)).status == 403
    # A link in a mail is followed: it is a person who goes there.
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert (await browser.ask("/ui/runs", headers=headers)).status == 200


@pytest.mark.parametrize(
    "wanted",
    ["//evil.example/ui/", "https://evil.example/ui/", "/ui/\\\\evil", "/v1/runs", "javascript:1"],
)
async def test_signing_in_leads_nowhere_else(served, browser, wanted):
    answer = await browser.ask(
        "/ui/login", "POST", params={"next": wanted}, data={"token": served.token()}
    )
    assert answer.headers["Location"] == "/ui/runs"


async def test_signing_in_leads_to_what_was_asked_for(served, browser):
    location = (await browser.ask("/ui/events?q=a%26b")).headers["Location"]
    answer = await browser.ask(location, "POST", data={"token": served.token()})
    assert answer.headers["Location"] == "/ui/events?q=a%26b"


async def test_every_page_forbids_what_is_inline_and_from_elsewhere(served, browser):
    login = await browser.ask("/ui/login")
    await browser.sign_in(served.token())
    for answer in (login, await browser.ask("/ui/runs"), await browser.ask("/ui/nothing")):
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["Cache-Control"] == "no-store"
        text = await answer.text()
        assert not re.search(r"\sstyle=|\son[a-z]+=|<style|<script(?! type=.module. src=)", text)
        assert not re.search(r"(?:src|href)=\"(?!/|#)", text)


async def test_assets_are_kept_for_ever_under_the_address_of_their_content(browser):
    text = await (await browser.ask("/ui/login")).text()
    path = re.findall(r'href="(/ui/static/[^"]+[.]css)"', text)[0]
    answer = await browser.ask(path)
    assert answer.status == 200
    assert answer.content_type == "text/css"
    assert "immutable" in answer.headers["Cache-Control"]
    old = re.sub(r"[0-9a-f]{16}", "0" * 16, path)
    assert (await browser.ask(old)).headers["Cache-Control"] == "no-store"
    assert (await browser.ask(path.replace("toka.css", "none.css"))).status == 404


class Ticking:
    def __init__(self) -> None:
        self.seconds = 0

    def now(self) -> int:
        return self.monotonic()

    def monotonic(self) -> int:
        return self.seconds * 1_000_000_000

    async def sleep(self, nanoseconds: int) -> None: ...


def test_a_link_works_once_for_some_minutes_and_holds_no_token():
    clock = Ticking()
    links = SignInLinks(clock, lifetime_seconds=60)
    address = links.link("http://127.0.0.1:8080/", "secret")
    before, _, code = address.partition("#")
    assert before == "http://127.0.0.1:8080/ui/login"
    assert "secret" not in address + repr(vars(links))
    assert [links.redeem(code), links.redeem(code)] == ["secret", ""]
    code = links.link("http://x", "secret").partition("#")[2]
    clock.seconds = 61
    assert links.redeem(code) == ""


def test_of_too_many_links_the_oldest_ceases_to_work():
    links = SignInLinks(Ticking())
    codes = [links.link("http://x", str(n)).partition("#")[2] for n in range(MAX_LINKS + 1)]
    assert links.redeem(codes[0]) == ""
    assert links.redeem(codes[1]) == "1"


async def test_without_links_a_code_says_so(browser):
    answer = await browser.ask("/ui/login", "POST", data={"code": "x"})
    assert answer.status == 401
    assert "used before" in await answer.text()
