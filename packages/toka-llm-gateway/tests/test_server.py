"""Who is let in, what calls may take, and what is written down."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toka.capability.core import Claims, PermissionSet
from toka.llm_gateway import (
    BudgetExhausted,
    ConfigurationInvalid,
    Cost,
    Embeddings,
    Estimate,
    ModelNotFound,
    Overloaded,
    StreamInterrupted,
    TextDelta,
    Usage,
)
from toka.llm_gateway.server import (
    Account,
    AuditRecord,
    CapabilityAccess,
    Gateway,
    JsonLinesAudit,
    MemoryLedger,
    ModelCatalog,
    SqliteLedger,
    serve,
)
from toka.llm_gateway.testing import ScriptedModel, reply
from toka.types import Amounts, Budget, TokaError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio

BODY = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
MOST = Estimate(100, 50, Cost(1000))
TOOK = reply("ok", usage=Usage(10, 5), cost=Cost(75))


def claims(**changes):
    made = Claims("ann", "v", ("model:call:m",), 0, 2**33, "token-1", **changes)
    assert isinstance(made.granted, PermissionSet)
    return made


class Notes(list[AuditRecord]):
    def __init__(self) -> None:
        super().__init__()
        self.noted = anyio.Event()

    def note(self, record: AuditRecord) -> None:
        self.append(record)
        self.noted.set()


@asynccontextmanager
async def served(script, tokens=None, **settings) -> AsyncIterator[Any]:
    model = script if hasattr(script, "stream") else ScriptedModel(script, estimate=MOST)

    known = tokens or {}

    def authenticate(token):
        if token not in known:
            raise TokaError("no")
        return known[token]

    access = None if tokens is None else CapabilityAccess(authenticate)
    gateway = Gateway(ModelCatalog({"m": model, "other": model}), access=access, **settings)
    async with serve(gateway) as url, aiohttp.ClientSession(url) as session:
        yield session, model


async def post(session, path="/v1/chat/completions", token="good", **body):  # noqa: S107 - a test
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with session.post(path, json={**BODY, **body}, headers=headers) as answer:
        text = await answer.text()
        parsed = json.loads(text) if answer.content_type == "application/json" else text
        return answer.status, answer.headers, parsed


async def test_a_token_is_needed_and_allows_what_it_says():
    async with served([reply("ok")], {"good": claims()}) as (session, model):
        for token in ("", "bad"):
            status, headers, said = await post(session, token=token)
            assert status == 401
            assert headers["x-should-retry"] == "false"
            assert said["error"]["code"] == "invalid_api_key"
        status, _, said = await post(session, model="other")
        assert status == 403
        assert "model:call:other" in said["error"]["message"]
        assert model.calls == 0
        assert (await post(session))[0] == 200
        async with session.get("/v1/models", headers={"x-api-key": "good"}) as answer:
            assert [each["id"] for each in (await answer.json())["data"]] == ["m"]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_budget_is_debited_with_what_the_call_took(stream):
    ledger = MemoryLedger()
    token = claims(budget=(("calls", 2), ("money", 1100), ("tokens", 500)))
    async with served([TOOK, TOOK], {"good": token}, ledger=ledger) as (session, model):
        assert (await post(session, stream=stream))[0] == 200
        assert ledger.used("token-1") == Amounts(75, 15, 1)
        assert (await post(session, stream=stream))[0] == 200
        # A third call is one too many, and no SDK will come back for it.
        status, headers, said = await post(session, stream=stream)
        assert status == 402
        assert headers["x-should-retry"] == "false"
        assert said["error"]["code"] == "budget_exhausted"
        assert "retry-after" not in headers
        assert model.calls == 2


async def test_vectors_are_paid_for_like_words():
    class Embedder:
        provider, name = "local", "small"
        fails = False

        async def embed(self, texts, *, dimensions=None):
            assert dimensions is None
            if self.fails:
                raise Overloaded("busy")
            return Embeddings(((1.0,),) * len(texts), Usage(7), "small", "local", Cost(20))

        def estimate(self, texts):
            return Estimate(10 * len(texts), 0, Cost(30 * len(texts)))

        async def aclose(self):
            pass

    ledger, embedder = MemoryLedger(), Embedder()
    token = claims(budget=(("money", 70), ("tokens", 100)))

    async def embed(texts):
        body = {"model": "m", "input": texts}
        headers = {"x-api-key": "good"}
        async with session.post("/v1/embeddings", json=body, headers=headers) as answer:
            return answer.status

    served_ones = served([], {"good": token}, ledger=ledger, embeddings={"m": embedder})
    async with served_ones as (session, _):
        assert await embed(["a"]) == 200
        assert ledger.used("token-1") == Amounts(20, 7, 1)
        assert await embed(["a", "b"]) == 402
        embedder.fails = True
        assert await embed(["a"]) == 503
        assert ledger.used("token-1") == Amounts(20, 7, 1)


async def test_what_a_call_can_take_is_set_aside_first():
    token = claims(budget=(("money", 1999),))
    release, asked = anyio.Event(), anyio.Event()

    class Slow(ScriptedModel):
        async def complete(self, request):
            asked.set()
            await release.wait()
            return await super().complete(request)

    slow = Slow([TOOK, TOOK], estimate=MOST)
    async with served(slow, {"good": token}) as (session, _), anyio.create_task_group() as group:
        group.start_soon(post, session)
        await asked.wait()
        assert (await post(session))[0] == 402
        release.set()


async def test_failures_are_free_and_half_answers_are_not():
    class Breaking(ScriptedModel):
        async def stream(self, request):
            if self.calls:
                yield TextDelta("word " * 6)
            self.calls += 1
            raise StreamInterrupted(f"cut {request.model}")

        def estimate(self, request):
            return Estimate(100, request.max_output_tokens, Cost(request.max_output_tokens))

    ledger = MemoryLedger()
    token = claims(budget=(("money", 10_000),))
    async with served(Breaking([]), {"good": token}, ledger=ledger) as (session, _):
        assert (await post(session, stream=True))[0] == 502
        assert ledger.used("token-1") == Amounts()
        assert (await post(session, stream=True))[0] == 200
        assert ledger.used("token-1") == Amounts(10, 110, 1)


async def test_money_is_not_spent_where_the_price_is_unknown():
    model = ScriptedModel([TOOK], estimate=Estimate(1, 1, None))
    async with served(model, {"good": claims(budget=(("money", 10**9),))}) as (session, _):
        assert (await post(session))[0] == 402
    async with served(model, {"good": claims(budget=(("tokens", 10**9),))}) as (session, _):
        assert (await post(session))[0] == 200


async def test_every_request_is_written_down_without_contents(tmp_path):
    path = tmp_path / "audit.jsonl"
    with JsonLinesAudit(path) as audit:
        async with served([TOOK, TOOK], {"good": claims()}, audit=audit) as (session, _):
            await post(session, messages=[{"role": "user", "content": "my-prompt"}])
            await post(session, stream=True)
            await post(session, token="bad")  # noqa: S106 - a test
            await post(session, model="other")
            await post(session, "/v1/messages")
    text = path.read_text()
    assert "my-prompt" not in text
    assert "good" not in text
    whole, streamed, bad, other, wrong = [json.loads(line) for line in text.splitlines()]
    assert whole["tenant"] == "ann"
    assert whole["output_tokens"] == 5
    assert whole["cost_micro_usd"] == 75
    assert streamed["streamed"]
    assert (bad["status"], bad["tenant"], bad["code"]) == (401, "", "invalid_api_key")
    assert (other["status"], other["model"]) == (403, "other")
    assert wrong["status"] == 400


async def test_a_caller_that_leaves_stops_the_model():
    left = anyio.Event()

    class Endless(ScriptedModel):
        async def stream(self, request):
            try:
                while True:
                    yield TextDelta(request.messages[0].text)
                    await anyio.sleep(0.01)
            finally:
                left.set()

    notes = Notes()
    async with served(Endless([]), audit=notes) as (session, _):
        async with session.post("/v1/chat/completions", json={**BODY, "stream": True}) as answer:
            await answer.content.readline()
        with anyio.fail_after(5):
            await left.wait()
            await notes.noted.wait()
    assert notes[0].code == "left"


async def test_bad_input_is_answered_in_the_callers_format():
    async with served([], max_request_bytes=1000) as (session, _):
        for path in ("/v1/chat/completions", "/v1/responses", "/v1/messages", "/v1/embeddings"):
            for body in (b"", b"{", b"[]", b"\xff", b"[" * 900, b"x" * 2000):
                async with session.post(path, data=body) as answer:
                    assert answer.status == 400
                    said = await answer.json()
                    assert said["error"]["message"]
                    assert ("type" in said) == (path == "/v1/messages")
        async with session.get("/healthz") as answer:
            assert answer.status == 200


async def test_an_idempotency_key_goes_on():
    async with (
        served([TOOK, TOOK]) as (session, model),
        session.post("/v1/chat/completions", json=BODY, headers={"Idempotency-Key": "step-7"}),
    ):
        pass
    assert model.last_request.idempotency_key == "step-7"


def test_names_are_found_exactly_then_by_the_longest_beginning():
    a, b, c = (ScriptedModel([], name=name) for name in "abc")
    catalog = ModelCatalog({"gpt-5": a, "openai/*": b, "openai/small/*": c})
    assert catalog.find("gpt-5") == (a, None)
    assert catalog.find("openai/gpt-5") == (b, "gpt-5")
    assert catalog.find("openai/small/x") == (c, "x")
    for name in ("gpt", "openai/", "", "openai"):
        with pytest.raises(ModelNotFound):
            catalog.find(name)
    assert ModelCatalog({"*": a}).find("any") == (a, "any")
    with pytest.raises(ConfigurationInvalid):
        ModelCatalog({})


@pytest.fixture(params=["memory", "sqlite"])
def ledger(request, tmp_path):
    if request.param == "memory":
        yield MemoryLedger()
        return
    with SqliteLedger(tmp_path / "ledger.db") as made:
        yield made


def test_a_ledger_debits_all_accounts_or_none(ledger):
    rich, poor = Account("a", Budget(money=100)), Account("b", Budget(money=10))
    ledger.reserve([rich, poor], Amounts(10, 1, 1))
    with pytest.raises(BudgetExhausted) as caught:
        ledger.reserve([rich, poor], Amounts(1))
    assert caught.value.details == {"resource": "money", "left": 0, "wanted": 1}
    assert ledger.used("a") == Amounts(10, 1, 1)
    ledger.settle([rich, poor], Amounts(10, 1, 1), Amounts(4, 2, 1))
    assert ledger.used("b") == Amounts(4, 2, 1)
    ledger.reserve([rich, poor], Amounts(6))
    ledger.reserve([], Amounts(10**9))


def test_a_ledger_on_disk_keeps_what_was_under_way(tmp_path):
    account = Account("a", Budget(calls=1))
    with SqliteLedger(tmp_path / "l.db") as first:
        first.reserve([account], Amounts(calls=1))
    with SqliteLedger(tmp_path / "l.db") as again, pytest.raises(BudgetExhausted):
        again.reserve([account], Amounts(calls=1))
    (tmp_path / "bad.db").write_bytes(b"no database at all, and long enough to see it" * 50)
    with pytest.raises(ConfigurationInvalid):
        SqliteLedger(tmp_path / "bad.db")


steps = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 12), st.booleans()), max_size=20)


@given(steps)
def test_no_order_of_calls_overspends(steps):
    ledger, account, spent = MemoryLedger(), Account("a", Budget(money=50)), 0
    under_way = []
    for most, _, ends in steps:
        try:
            ledger.reserve([account], Amounts(most))
        except BudgetExhausted:
            continue
        under_way.append(most)
        if ends:
            reserved = under_way.pop(0)
            took = reserved // 2
            ledger.settle([account], Amounts(reserved), Amounts(took))
            spent += took
    assert ledger.used("a").money == spent + sum(under_way)
    assert ledger.used("a").money <= 50
