import asyncio

import aiohttp
import anyio
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from toka.rate_limiter import (
    HOUR,
    AsyncLimiter,
    ClientAddress,
    Limit,
    MemoryStorage,
    StorageUnavailable,
    limit_requests,
)

pytestmark = pytest.mark.anyio


async def _hello(request):
    return web.Response(text=request.match_info.get("name", "hello"))


async def _stream(request):
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"a" * 10)
    await response.write_eof()
    return response


async def _socket(request):
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        await socket.send_str(message.data)
    return socket


async def _fail(_request):
    raise RuntimeError("a fault of the application")


async def _forbid(_request):
    raise web.HTTPForbidden


def _application():
    app = web.Application()
    app.add_routes(
        [
            web.get("/", _hello),
            web.get("/health", _hello),
            web.get("/people/{name}", _hello),
            web.get("/stream", _stream),
            web.get("/socket", _socket),
            web.get("/fail", _fail),
            web.get("/forbid", _forbid),
        ]
    )
    return app


@pytest.fixture
async def serve():
    clients = []

    async def start(limits, storage=None, **options):
        app = _application()
        limit_requests(app, AsyncLimiter(limits, storage or MemoryStorage()), **options)
        client = TestClient(TestServer(app))
        await client.start_server()
        clients.append(client)
        return client

    yield start
    for client in clients:
        await client.close()


async def test_attack_4_4_12_a_request_over_the_limit_is_refused_with_all_that_helps(serve):
    client = await serve([Limit("api", 1, HOUR, ("ip",))])
    first = await client.get("/")
    assert first.status == 200
    assert first.headers["RateLimit-Policy"] == '"api";q=1;w=3600'
    assert first.headers["RateLimit"].startswith('"api";r=0;t=')
    second = await client.get("/")
    assert second.status == 429
    assert second.content_type == "application/problem+json"
    assert 1 <= int(second.headers["Retry-After"]) <= 3_600
    assert (await second.json())["violated-policies"] == ["api"]


async def test_exempt_paths_are_free_and_silent(serve):
    client = await serve([Limit("api", 1, HOUR, ("ip",))])
    for _ in range(3):
        response = await client.get("/health")
        assert response.status == 200
        assert "RateLimit" not in response.headers


@pytest.mark.parametrize(
    ("path", "status"), [("/stream", 200), ("/fail", 500), ("/forbid", 403), ("/nowhere", 404)]
)
async def test_attack_4_4_12_every_kind_of_response_says_where_the_client_stands(
    serve, path, status, caplog
):
    client = await serve([Limit("api", 9, HOUR, ("ip",))])
    response = await client.get(path)
    assert response.status == status
    assert response.headers["RateLimit"].startswith('"api";r=8;')
    assert ("a fault of the application" in caplog.text) == (status == 500)


async def test_attack_4_4_12_a_websocket_is_one_hit(serve):
    client = await serve([Limit("api", 2, HOUR, ("ip",))])
    async with client.ws_connect("/socket") as socket:
        for _ in range(5):
            await socket.send_str("x")
            assert (await socket.receive()).data == "x"
    assert (await client.get("/")).status == 200
    with pytest.raises(aiohttp.WSServerHandshakeError) as error:
        await client.ws_connect("/socket")
    assert error.value.status == 429


async def test_attack_4_4_12_a_client_that_goes_away_is_counted_and_leaves_nothing(serve):
    client = await serve([Limit("api", 2, HOUR, ("ip",))])
    for _ in range(2):
        _, writer = await asyncio.open_connection(client.host, client.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf")
        await writer.drain()
        writer.close()
        await writer.wait_closed()
    with anyio.fail_after(5):
        while (await client.get("/")).status != 429:
            pass


async def test_endpoints_count_by_route_and_not_by_path(serve):
    client = await serve([Limit("route", 2, HOUR, ("endpoint",))])
    statuses = [(await client.get(f"/people/{name}")).status for name in "abc"]
    assert statuses == [200, 200, 429]
    assert (await client.get("/")).status == 200


async def test_facts_and_costs_come_from_the_application(serve):
    client = await serve(
        [Limit("user", 10, HOUR, ("user",))],
        facts=lambda request: {"user": request.query["user"]},
        cost=lambda request: int(request.query["cost"]),
    )
    assert (await client.get("/?user=a&cost=10")).status == 200
    assert (await client.get("/?user=a&cost=1")).status == 429
    assert (await client.get("/?user=b&cost=1")).status == 200


async def test_a_spoofed_address_changes_nothing_without_trusted_proxies(serve):
    client = await serve([Limit("api", 1, HOUR, ("ip",))])
    for index, status in enumerate([200, 429, 429]):
        spoofed = {"X-Forwarded-For": f"198.51.100.{index}"}
        assert (await client.get("/", headers=spoofed)).status == status


async def test_behind_a_trusted_proxy_clients_have_buckets_of_their_own(serve):
    addresses = ClientAddress(["127.0.0.0/8", "::1/128"])
    client = await serve([Limit("api", 1, HOUR, ("ip",))], addresses=addresses)
    for address in ("198.51.100.1", "198.51.100.2"):
        for status, chain in [(200, address), (429, f"6.6.6.6, {address}")]:
            response = await client.get("/", headers={"X-Forwarded-For": chain})
            assert response.status == status


async def test_an_outage_is_a_503_while_closed(serve, caplog):
    class Dead:
        async def apply(self, action, charges, cost):  # noqa: ARG002 - the protocol's signature
            raise StorageUnavailable("gone")

    client = await serve([Limit("api", 1, HOUR, ("ip",))], Dead())
    response = await client.get("/")
    assert response.status == 503
    assert response.headers["Retry-After"] == "1"
    assert "gone" in caplog.text
    assert "gone" not in await response.text()
