"""HTTP attacks of the list, against servers that run here."""

from __future__ import annotations

import asyncio
import gzip
import socket
import time
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import TYPE_CHECKING, cast

import pytest

from toka.tools import (
    AccessDeniedError,
    AddressDeniedError,
    HttpRequestError,
    InvalidArgumentsError,
    ToolTimeoutError,
)
from toka.tools.http._addresses import is_public
from toka.tools.http._url import follow, parse_target

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

    from toka.tools import ToolContext, ToolRegistry
    from toka.types import Json

    Answer = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]

pytestmark = pytest.mark.anyio


class Server:
    """Answers every request with the next of its answers, and remembers what it was sent."""

    def __init__(self, *answers: bytes | Answer) -> None:
        self.answers = list(answers)
        self.requests: list[bytes] = []
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                (
                    int(line.split(b":")[1])
                    for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-length:")
                ),
                0,
            )
            self.requests.append(head + await reader.readexactly(length))
            answer = self.answers.pop(0)
            if isinstance(answer, bytes):
                writer.write(answer)
            else:
                await answer(head, writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(*answers: bytes | Answer) -> AsyncGenerator[Server]:
    server = Server(*answers)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield server


def ok(body: bytes, *headers: bytes) -> bytes:
    lines = [b"HTTP/1.1 200 OK", b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def moved(location: str, status: int = 302) -> bytes:
    return f"HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()


@pytest.fixture
def fetch(registry: ToolRegistry, context_for: Callable[..., ToolContext]):
    async def call(
        url: str, *permissions: str, context: ToolContext | None = None, **arguments: Json
    ) -> Mapping[str, Json]:
        granted = permissions or ("net:*:http://127.0.0.1:*/**", "net:private:127.0.0.1")
        context = context or context_for(*granted)
        result = await registry.call("http_request", {"url": url, **arguments}, context)
        return cast("Mapping[str, Json]", result.value)

    return call


async def test_a_page_comes_back_with_status_headers_and_body(fetch) -> None:
    async with serving(ok("grün".encode(), b"X-A: 1", b"x-a: 2")) as server:
        value = await fetch(f"{server.url}/p?q=1#fragment")
    assert (value["status"], value["body"], value["truncated"]) == (200, "grün", False)
    assert value["headers"]["x-a"] == "1, 2"
    assert value["url"] == f"{server.url}/p?q=1"
    assert server.requests[0].startswith(b"GET /p?q=1 HTTP/1.1\r\n")


async def test_an_error_status_is_a_result_and_bytes_are_base64(fetch) -> None:
    async with serving(b"HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\n\xff\xfe") as server:
        value = await fetch(server.url)
    assert (value["status"], value["body_base64"]) == (404, "//4=")


async def test_a_body_is_sent(fetch) -> None:
    async with serving(ok(b"")) as server:
        headers = {"Content-Type": "application/json"}
        await fetch(server.url, method="POST", body='{"a":"é"}', headers=headers)
    assert server.requests[0].startswith(b"POST / HTTP/1.1\r\n")
    assert server.requests[0].endswith('{"a":"é"}'.encode())


def test_the_request_names_method_scheme_host_and_path(registry: ToolRegistry, workspace) -> None:
    tool = registry.get("http_request")
    arguments = {"url": "HTTPS://API.example.com:443/v1/a b?key=x".replace(" ", "%20")}
    assert tool.requests(arguments, workspace) == ("net:get:https://api.example.com/v1/a%20b",)
    arguments = {"url": "http://h:8080/é", "method": "POST"}
    assert tool.requests(arguments, workspace) == ("net:post:http://h:8080/%C3%A9",)


@pytest.mark.parametrize(
    "url",
    [
        "http://user:pass@example.com/",
        "http://user@example.com/",
        "http://good.example\\@127.0.0.1/",
        "http://example.com\t/",
        "http://exam\nple.com/",
        "http://example.com/a\r\nHost: x",
        " http://example.com/",
        "http://127.1/",
        "http://0/",
        "http://0x7f000001/",
        "http://0177.0.0.1/",
        "http://2130706433/",
        "http://127.0.0.01/",
        "http://\uff11\uff12\uff17.0.0.1/",
        "http://127。0。0。1/",
        "http://①②⑦.0.0.1/",
        "http://example.com:22/",
        "http://example.com:0/",
        "http://example.com:65536/",
        "http://example.com:6379x/",
        "http://example..com/",
        "http:///etc/passwd",
        "file:///etc/passwd",
        "ftp://example.com/",
        "gopher://example.com/",
        "//example.com/",
        "example.com",
        "",
        "http://[::1%25eth0]/",
        "http://[::1/",
        "http://example.com/%2e%2e/a",
        "http://example.com/../a",
        "http://example.com/a%2Fb",
        "http://example.com/a%5Cb",
        "http://example.com/a%00b",
        "http://example.com/" + "a" * 9_000,
    ],
)
def test_a_url_that_can_be_read_in_two_ways_is_refused(url: str) -> None:
    with pytest.raises(AddressDeniedError) as caught:
        parse_target(url)
    assert "pass@" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "0.0.0.0",  # noqa: S104 - an address to be refused
        "10.1.2.3",
        "100.100.100.200",
        "127.0.0.1",
        "169.254.169.254",
        "172.31.0.1",
        "192.0.0.8",
        "192.168.0.1",
        "192.88.99.1",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ],
)
def test_addresses_that_lead_inwards_are_not_public(text: str) -> None:
    assert not is_public(ip_address(text))


@pytest.mark.parametrize("text", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "2a00:1450::1"])
def test_addresses_of_the_internet_are_public(text: str) -> None:
    assert is_public(ip_address(text))


async def test_a_pattern_over_hosts_grants_no_private_address(fetch) -> None:
    async with serving(ok(b"secret")) as server:
        for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "[::127.0.0.1]"):
            for grant in ("http://**", "http://*:*/**", "http://**/x"):
                with pytest.raises(AddressDeniedError):
                    await fetch(f"http://{host}:{server.port}/x", f"net:get:{grant}")
    assert server.requests == []


async def test_a_grant_that_names_the_address_or_localhost_is_enough(fetch) -> None:
    async with serving(ok(b"1"), ok(b"2"), ok(b"3")) as server:
        url = f"{server.url}/x"
        assert (await fetch(url, f"net:get:{url}"))["body"] == "1"
        url = f"http://localhost:{server.port}/"
        assert (await fetch(url, f"net:get:{url}**"))["body"] == "2"
        assert (await fetch(server.url, "net:*:http://127.0.0.1:*/**"))["body"] == "3"


@pytest.fixture
def resolving(monkeypatch: pytest.MonkeyPatch):
    """Let names lead where a test says, one answer for each look-up."""

    def set_answers(*answers: tuple[str, ...]) -> list[str]:
        waiting, asked = list(answers), list[str]()

        async def getaddrinfo(_: object, host: str, port: int, **__: object) -> list[object]:
            asked.append(host)
            return [
                (
                    socket.AF_INET6 if ":" in address else socket.AF_INET,
                    socket.SOCK_STREAM,
                    6,
                    "",
                    (address, port, 0, 0) if ":" in address else (address, port),
                )
                for address in waiting.pop(0)
            ]

        monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)
        return asked

    return set_answers


@pytest.mark.parametrize(
    "addresses",
    [
        ("127.0.0.1",),
        ("8.8.8.8", "::1"),
        ("169.254.169.254",),
        ("100.100.100.200",),
        ("64:ff9b::7f00:1",),
    ],
)
async def test_a_name_that_leads_inwards_is_refused_even_if_granted(
    fetch, resolving, addresses: tuple[str, ...]
) -> None:
    """The DNS of a granted host is its owner's, not the grantor's."""
    asked = resolving(addresses)
    async with serving(ok(b"secret")) as server:
        url = f"http://rebind.example:{server.port}/"
        with pytest.raises(AddressDeniedError, match="not a public address"):
            await fetch(url, f"net:get:{url}**")
    assert (asked, server.requests) == (["rebind.example"], [])


async def test_an_inner_name_can_be_granted(fetch, resolving) -> None:
    resolving(("127.0.0.1",))
    async with serving(ok(b"wiki")) as server:
        url = f"http://wiki.example:{server.port}/"
        value = await fetch(url, f"net:get:{url}**", "net:private:wiki.example")
    assert value["body"] == "wiki"
    assert f"host: wiki.example:{server.port}".encode() in server.requests[0].lower()


async def test_the_name_is_looked_up_once_so_it_cannot_change(fetch, resolving) -> None:
    asked = resolving(("127.0.0.1",), ("169.254.169.254",))
    async with serving(ok(b"once")) as server:
        url = f"http://rebind.example:{server.port}/"
        await fetch(url, f"net:get:{url}**", "net:private:rebind.example")
    assert asked == ["rebind.example"]


async def test_redirects_are_followed_where_they_are_granted(fetch) -> None:
    async with serving(moved("/b?c=1"), ok(b"there")) as server:
        value = await fetch(f"{server.url}/a")
    assert (value["body"], value["url"]) == ("there", f"{server.url}/b?c=1")
    assert value["redirects"] == [f"{server.url}/a"]


async def test_a_redirect_is_a_result_when_it_is_not_followed(fetch) -> None:
    async with serving(moved("/b")) as server:
        value = await fetch(server.url, follow_redirects=False)
    assert (value["status"], value["headers"]["location"]) == (302, "/b")


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://localhost/x",
        "http://[::1]/",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "//user:pass@127.0.0.1/",
        "http://127.1/",
        "/outside",
        "/in/%2e%2e/outside",
    ],
)
async def test_a_redirect_out_of_the_grant_is_refused(fetch, location: str) -> None:
    async with serving(moved(location), ok(b"secret")) as server:
        with pytest.raises(AddressDeniedError):
            await fetch(f"{server.url}/in/a", f"net:get:{server.url}/in/**")
        assert len(server.requests) == 1


async def test_a_redirect_to_metadata_is_refused_under_a_grant_of_everything(fetch) -> None:
    async with serving(moved("http://169.254.169.254/latest/meta-data")) as server:
        granted = (f"net:get:{server.url}/**", "net:get:http://**", "net:get:https://**")
        with pytest.raises(AddressDeniedError, match=r"169\.254"):
            await fetch(server.url, *granted)


async def test_a_redirect_from_https_to_http_is_refused() -> None:
    with pytest.raises(AddressDeniedError, match="from https to http"):
        follow(parse_target("https://example.com/"), "http://example.com/")


async def test_a_chain_of_redirects_ends(fetch) -> None:
    async with serving(*[moved("/again")] * 10) as server:
        with pytest.raises(HttpRequestError, match="more than 5 times"):
            await fetch(server.url)
    assert len(server.requests) == 6


async def test_secrets_stay_with_the_origin_they_were_meant_for(fetch) -> None:
    headers = {"Authorization": "Bearer s3cret", "Cookie": "a=b", "X-Api-Key": "k", "Accept": "a/b"}
    async with serving(ok(b"")) as other, serving(moved("/same")) as first:
        first.answers.append(moved(f"{other.url}/x"))
        await fetch(first.url, headers=headers)
    assert b"s3cret" in first.requests[1]
    assert not any(word in other.requests[0] for word in (b"s3cret", b"a=b", b"X-Api-Key"))
    assert b"Accept: a/b" in other.requests[0]


@pytest.mark.parametrize(
    ("status", "method", "sent"),
    [(303, "POST", "GET"), (302, "POST", "GET"), (307, "POST", "POST")],
)
async def test_the_method_after_a_redirect(fetch, status: int, method: str, sent: str) -> None:
    async with serving(moved("/b", status), ok(b"")) as server:
        await fetch(server.url, method=method, body="data")
    assert server.requests[1].startswith(sent.encode())
    assert server.requests[1].endswith(b"data") == (sent == "POST")


async def test_a_redirect_needs_the_grant_of_its_method(fetch) -> None:
    async with serving(moved("/b", 303), ok(b"")) as server:
        with pytest.raises(AddressDeniedError, match="outside"):
            await fetch(server.url, f"net:post:{server.url}/**", method="POST")


async def test_no_proxy_of_the_environment_is_used(fetch, monkeypatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")
    async with serving(ok(b"direct")) as server:
        assert (await fetch(server.url))["body"] == "direct"


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil"},
        {"transfer-encoding": "chunked"},
        {"Content-Length": "0"},
        {"Connection": "upgrade"},
        {"A": "b\r\nHost: evil"},
        {"A": "b\0"},
        {"A\r\nB": "c"},
        {"": "c"},
        {"é": "c"},
    ],
)
async def test_headers_that_frame_or_inject_are_refused(fetch, headers: dict[str, str]) -> None:
    async with serving(ok(b"")) as server:
        with pytest.raises(InvalidArgumentsError):
            await fetch(server.url, headers=headers)
    assert server.requests == []


async def test_a_large_body_is_cut(fetch) -> None:
    async with serving(ok(b"x" * 100_000)) as server:
        value = await fetch(server.url, max_bytes=1_000)
    assert (len(value["body"]), value["truncated"]) == (1_000, True)


async def test_an_endless_body_is_cut(fetch) -> None:
    async def endless(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 65_536)
            await writer.drain()

    async with serving(endless) as server:
        value = await fetch(server.url, max_bytes=500_000)
    assert (len(value["body"]), value["truncated"]) == (500_000, True)


async def test_a_gzip_bomb_is_cut(fetch) -> None:
    bomb = gzip.compress(b"\0" * (64 << 20))
    async with serving(ok(bomb, b"Content-Encoding: gzip")) as server:
        value = await fetch(server.url, max_bytes=10_000)
    assert (len(value["body"]), value["truncated"]) == (10_000, True)


async def test_a_compressed_body_is_read(fetch) -> None:
    async with serving(ok(gzip.compress(b"hello" * 100), b"Content-Encoding: gzip")) as server:
        assert (await fetch(server.url))["body"] == "hello" * 100


@pytest.mark.parametrize("drip", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\n\r\n"])
async def test_a_slow_answer_ends_in_time(fetch, drip: bytes) -> None:
    async def slow(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(drip)
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with serving(slow) as server:
        before = time.monotonic()
        with pytest.raises(ToolTimeoutError):
            await fetch(server.url, timeout=0.2)
        assert time.monotonic() - before < 2


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        ok(b"no gzip", b"Content-Encoding: gzip"),
        ok(gzip.compress(b"hello" * 1000, mtime=0)[:-20], b"Content-Encoding: gzip"),
    ],
)
async def test_a_broken_answer_is_an_error_of_its_own(fetch, answer: bytes) -> None:
    # Twice, because the client sends what is idempotent again if the connection just closes.
    async with serving(answer, answer) as server:
        with pytest.raises(HttpRequestError) as caught:
            await fetch(f"{server.url}/?key=s3cret")
    assert caught.value.transient
    assert "s3cret" not in str(caught.value)


async def test_a_port_without_a_server_is_an_error_of_its_own(fetch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(HttpRequestError):
            await fetch(f"http://127.0.0.1:{port}/")


async def test_a_call_without_a_grant_opens_no_connection(fetch) -> None:
    async with serving(ok(b"")) as server:
        with pytest.raises(AccessDeniedError):
            await fetch(server.url, "net:post:http://127.0.0.1:*/**")
        with pytest.raises(AccessDeniedError):
            await fetch(f"{server.url}/ab", f"net:get:{server.url}/a")
    assert server.requests == []
