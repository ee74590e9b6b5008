"""Bodies and parameters that are no good are refused before anything is done with them."""

import gzip
import io
import json

import pytest

pytestmark = pytest.mark.anyio

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"", 400, "service.malformed"),
        (b"{", 400, "service.malformed"),
        (b"\xff\xfe{}", 400, "service.malformed"),
        (b'{"source": "a"} {}', 400, "service.malformed"),
        (b"[]", 422, "service.invalid"),
        (b"null", 422, "service.invalid"),
        (b"{}", 422, "service.invalid"),
        (b'{"source": 1}', 422, "service.invalid"),
        (b'{"source": "hello.yaml", "input": {}}', 422, "service.invalid"),
        (b'{"source": "hello.yaml", "inputs": {"name": 1}}', 422, "service.invalid"),
        (b'{"source": "hello.yaml", "inputs": {"nome": "x"}}', 422, "spec.input"),
        (b'{"source": "missing.yaml"}', 422, "spec.file"),
        (b"[" * 65 + b"]" * 65, 413, "service.too_large"),
        (b'{"source":' * 100_000, 413, "service.too_large"),
        (b'{"source": "' + b"[" * 1_000_000 + b'"}', 422, "service.invalid"),
    ],
)
async def test_a_bad_body_is_refused(served, data, status, code):
    before = served.runtime.position
    found, body, _ = await served.ask("/v1/runs", method="POST", data=data, headers=JSON)
    assert (found, body["code"]) == (status, code)
    assert len(json.dumps(body)) < 2_000
    assert served.runtime.position == before


async def test_a_body_over_the_limit_is_refused(served):
    data = io.BytesIO(json.dumps({"source": "x" * 1_048_576}).encode())
    status, body, _ = await served.ask("/v1/runs", method="POST", data=data, headers=JSON)
    assert (status, body["code"]) == (413, "service.too_large")


async def test_a_body_without_end_is_cut_off(served):
    async def endless():
        while True:
            yield b" " * 65_536

    status, _, _ = await served.ask("/v1/runs", method="POST", data=endless(), headers=JSON)
    assert status == 413


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {**JSON, "Content-Encoding": "gzip"},
    ],
)
async def test_only_plain_json_is_read(served, headers):
    data = gzip.compress(b'{"source": "hello.yaml"}')
    status, body, _ = await served.ask("/v1/runs", method="POST", data=data, headers=headers)
    assert (status, body["code"]) == (415, "service.unsupported_body")


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=501", "limit=-1", "limit=x", "limit=\u0661", "limit=1&limit=2"]
)
async def test_a_bad_parameter_is_refused(served, query):
    status, body, _ = await served.ask(f"/v1/runs?{query}")
    assert (status, body["code"]) == (400, "service.malformed")


async def test_a_page_behind_an_unknown_agent_is_refused(served):
    status, body, _ = await served.ask("/v1/agents?after=nobody")
    assert (status, body["code"]) == (400, "service.malformed")


@pytest.mark.parametrize("key", ["x" * 257, "tab\there"])
async def test_a_bad_idempotency_key_is_refused(served, key):
    status, body, _ = await served.ask(
        "/v1/runs", method="POST", json={"source": "hello.yaml"}, headers={"Idempotency-Key": key}
    )
    assert (status, body["code"]) == (400, "service.malformed")


async def test_headers_over_the_limit_are_refused(served):
    async with served.session.get(
        f"{served.url}/health", headers={"X-Long": "x" * 20_000}
    ) as answer:
        assert answer.status == 400
