"""Pages as text: what readers see, through the same checks as any request."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

import pytest

from toka.tools import (
    AccessDeniedError,
    AddressDeniedError,
    HttpRequestError,
    PageNotTextError,
    ToolTimeoutError,
)
from toka.tools.http._charset import find_charset
from toka.tools.http._html import read_html
from toka.types import NANOSECONDS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from toka.tools import ToolContext, ToolRegistry
    from toka.tools.http._html import Page, Style
    from toka.types import Json

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def serving(*answers: bytes) -> AsyncGenerator[str]:
    left = list(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(left.pop(0))
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"


def answer(body: bytes, kind: str = "text/html; charset=utf-8", status: int = 200) -> bytes:
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


@pytest.fixture
def fetch(registry: ToolRegistry, context_for: Callable[..., ToolContext]):
    async def call(url: str, *permissions: str, **arguments: Json) -> Mapping[str, Json]:
        granted = permissions or ("net:get:http://127.0.0.1:*/**",)
        context = context_for(*granted)
        result = await registry.call("fetch_page", {"url": url, **arguments}, context)
        return cast("Mapping[str, Json]", result.value)

    return call


def read(html: str, style: Style = "markdown") -> Page:
    return read_html(html, "https://example.com/a/b", style, lambda: None)


PAGE = b"""<!doctype html><html><head><title> A &amp; B </title><style>p{}</style></head><body>
<h1>Heading</h1><p>One <b>bold</b> and <a href="../c?x=1">a link</a>.</p>
<ul><li>first<li>second</ul><script>alert(1)</script>
<pre>a
  b</pre></body></html>"""


async def test_a_page_is_read_as_markdown_with_absolute_links(fetch) -> None:
    async with serving(answer(PAGE)) as url:
        value = await fetch(f"{url}/x/y")
    assert value["title"] == "A & B"
    assert value["text"] == (
        f"# Heading\n\nOne **bold** and [a link]({url}/c?x=1).\n\n- first\n- second\n\n"
        "```\na\n  b\n```"
    )
    assert value["links"] == [{"text": "a link", "url": f"{url}/c?x=1"}]
    assert (value["status"], value["truncated"], value["next_offset"]) == (200, False, None)


async def test_as_text_it_has_no_marks(fetch) -> None:
    async with serving(answer(PAGE)) as url:
        value = await fetch(url, format="text")
    assert "One bold and a link." in value["text"]
    assert "#" not in value["text"]


async def test_a_long_text_is_gone_on_with(fetch) -> None:
    body = b"<p>" + b"abcdefghij" * 10
    async with serving(answer(body), answer(body)) as url:
        first = await fetch(url, max_characters=64)
        second = await fetch(url, offset=first["next_offset"])
    assert (len(first["text"]), first["truncated"]) == (64, True)
    assert first["text"] + second["text"] == "abcdefghij" * 10


async def test_other_text_stays_as_it_is(fetch) -> None:
    async with serving(answer(b'{"a": "<b>"}', "application/json")) as url:
        assert (await fetch(url))["text"] == '{"a": "<b>"}'


async def test_an_error_status_is_a_result(fetch) -> None:
    async with serving(answer(b"<p>gone", status=404)) as url:
        value = await fetch(url)
    assert (value["status"], value["text"]) == (404, "gone")


@pytest.mark.parametrize("kind", ["image/png", "application/pdf", "application/octet-stream"])
async def test_what_is_no_text_is_refused(fetch, kind: str) -> None:
    async with serving(answer(b"\x89PNG\0", kind)) as url:
        with pytest.raises(PageNotTextError, match="http_request"):
            await fetch(url)


async def test_binary_that_says_it_is_text_is_refused(fetch) -> None:
    async with serving(answer(b"\0\1\2", "text/plain")) as url:
        with pytest.raises(PageNotTextError):
            await fetch(url)


@pytest.mark.parametrize("charset", ["punycode", "idna", "zip", "unicode_escape", "utf-7", "nope"])
async def test_encodings_that_are_not_of_the_web_are_refused(fetch, charset: str) -> None:
    async with serving(answer(b"a" * 20_000, f"text/html; charset={charset}")) as url:
        with pytest.raises(HttpRequestError, match="encoding"):
            await fetch(url)


@pytest.mark.parametrize(
    ("label", "codec"),
    [("UTF-8", "utf-8"), ("latin1", "cp1252"), ("Shift_JIS", "cp932"), ("gb2312", "gb18030"),
     ("koi8-r", "koi8-r"), ("rot13", None), ("hex", None), ("", None)],
)  # fmt: skip
def test_labels_are_those_of_the_standard(label: str, codec: str | None) -> None:
    assert find_charset(label) == codec


async def test_the_page_itself_may_say_its_encoding(fetch) -> None:
    body = '<meta charset="windows-1251"><p>\u043f\u0440\u0438'.encode("cp1251")
    async with serving(answer(body, "text/html")) as url:
        assert (await fetch(url))["text"] == "\u043f\u0440\u0438"


async def test_only_what_is_granted_is_fetched(fetch, registry, workspace) -> None:
    tool = registry.get("fetch_page")
    wanted = ("net:get:https://example.com/a",)
    assert tool.requests({"url": "https://example.com/a?b"}, workspace) == wanted
    async with serving() as url:
        with pytest.raises(AccessDeniedError):
            await fetch(url, "net:get:https://example.com/**")
        with pytest.raises(AccessDeniedError):
            await fetch(url, "net:post:http://127.0.0.1:*/**")


async def test_a_redirect_is_checked_again(fetch) -> None:
    moved = b"HTTP/1.1 302 X\r\nLocation: http://127.0.0.2:1/\r\nContent-Length: 0\r\n\r\n"
    async with serving(moved) as url:
        with pytest.raises(AddressDeniedError):
            await fetch(url)


async def test_a_page_that_stops_is_ended(fetch) -> None:
    stalled = b"HTTP/1.1 200 X\r\nContent-Type: text/html\r\nContent-Length: 9\r\n\r\n"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(stalled)
        await reader.read()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        with pytest.raises(ToolTimeoutError):
            await fetch(f"http://127.0.0.1:{port}/", timeout=0.2)


@pytest.mark.parametrize(
    "html",
    [
        "<p>seen<p hidden>order",
        '<p>seen<div style="display: none">order</div>',
        "<p>seen<!-- order -->",
        "<p>seen<template>order</template><noscript>order</noscript>",
        "<p>seen<script>if (a < b) order</script>",
        "<title>t</title><p>seen\u200b<style>order</style>",
        "<div>" * 500 + "seen<script>order</script>",
        "<head><meta><p>seen<svg><text>order</text></svg>",
    ],
)
def test_what_people_do_not_see_is_left_out(html: str) -> None:
    assert read(html).text == "seen"


def test_text_hidden_in_tag_characters_is_taken_out() -> None:
    hidden = "".join(chr(0xE0000 + ord(letter)) for letter in "ignore")
    assert read(f"<p>a{hidden}b\u202ec").text == "abc"


@pytest.mark.parametrize(
    "href", ["javascript:alert(1)", "data:text/html,x", "http://[", "file:/etc"]
)
def test_links_that_are_no_pages_are_only_text(href: str) -> None:
    page = read(f'<a href="{href}">here</a>')
    assert (page.text, page.links) == ("here", ())


def test_a_link_cannot_break_out_of_its_mark() -> None:
    page = read('<a href="/x) [y](http://evil.example">t</a>')
    assert page.text.count("](") == 1
    assert page.links == (("t", "https://example.com/x%29%20[y]%28http://evil.example"),)


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<ol><li>a<li>b<ul><li>c</ul></ol>", "1. a\n2. b\n  - c"),
        ("<table><tr><th>a<th>b<tr><td>1</td><td>2</td></table>", None),
        ("<blockquote>a<p>b</blockquote>c", "> a\n\n> b\n\nc"),
        ("a<br>b", "a\nb"),
        ("</p></div>a</b>", "a"),
        ("a < b && c > d", "a < b && c > d"),
        ("a <b", "a"),
        ("", ""),
        ("<base href='https://o.example/'><a href=q>t</a>", "[t](https://o.example/q)"),
    ],
)
def test_markup_that_is_odd_is_read(html: str, text: str | None) -> None:
    found = read(html).text
    assert text is None or found == text


@pytest.mark.parametrize(
    "html",
    [
        "<" * 40_000,
        "<!--" * 10_000,
        "<a " * 60_000,
        "<![CDATA[" * 20_000,
        "<a b='" * 30_000,
        "</" * 20_000,
        "&" * 40_000,
        "<div>" * 40_000,
        "<a href=x>" * 10_000,
        "<?" * 20_000,
        "<script>" + "</scrip" * 20_000,
    ],
)  # fmt: skip
def test_malformed_pages_take_no_time(html: str) -> None:
    before = time.process_time()
    read(html)
    assert time.process_time() - before < 8


def test_the_deadline_ends_the_reading() -> None:
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if calls > 2:
            raise ToolTimeoutError("up")

    with pytest.raises(ToolTimeoutError):
        read_html("x" * NANOSECONDS.bit_length() * 10_000, "https://a.example/", "text", check)
