"""Tokens that are bound to their holder's key, and tokens that state a rate, at the HTTP door."""

import json

import anyio
import pytest
from joserfc import jws
from joserfc.jwk import ECKey

from toka.auth import access_token_hash
from toka.capability.core import MaxRate, OnlyHolder
from toka.capability.delegation import narrow
from toka.types import SystemClock

pytestmark = pytest.mark.anyio

WAITING = "asking.yaml"


class Holder:
    """Whoever has the private key."""

    def __init__(self, served):
        self.served = served
        self.key = ECKey.generate_key("P-256")
        self.token = narrow(served.token(), "holder", [OnlyHolder(self.key.thumbprint())])
        self.number = 0

    def prove(self, path, method="GET", **changes):
        self.number += 1
        header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": self.key.as_dict(private=False)}
        payload = {
            "htm": method,
            "htu": self.served.url + path,
            "iat": SystemClock().now() // 1_000_000_000,
            "jti": f"proof-{self.number}",
            "ath": access_token_hash(self.token),
            **changes,
        }
        return jws.serialize_compact(header, json.dumps(payload), self.key, algorithms=["ES256"])

    async def ask(self, path, proof=None, method="GET", **how):
        headers = {"Authorization": f"DPoP {self.token}"}
        if proof is not None:
            headers["DPoP"] = proof
        status, body, _ = await self.served.ask(path, method=method, headers=headers, **how)
        return status, body


@pytest.fixture
def holder(served):
    return Holder(served)


async def test_a_bound_token_counts_with_its_holders_proof(holder):
    status, _ = await holder.ask("/v1/runs", holder.prove("/v1/runs"))
    assert status == 200


async def test_a_bound_token_begins_a_run_with_one_proof(holder):
    proof = holder.prove("/v1/runs", "POST")
    status, body = await holder.ask("/v1/runs", proof, "POST", json={"source": "hello.yaml"})
    assert status == 201, body
    await holder.served.ended(body["run"]["run"])


@pytest.mark.parametrize(
    "wrong",
    [{"htm": "POST"}, {"htu": "http://elsewhere/v1/runs"}, {"iat": 1}, {"ath": "x"}],
)
async def test_a_proof_of_something_else_is_none(holder, wrong):
    plain = await holder.ask("/v1/runs")
    assert plain[0] == 401
    assert await holder.ask("/v1/runs", holder.prove("/v1/runs", **wrong)) == plain


async def test_a_proof_counts_once(holder):
    proof = holder.prove("/v1/runs")
    assert (await holder.ask("/v1/runs", proof))[0] == 200
    assert (await holder.ask("/v1/runs", proof))[0] == 401


async def test_a_refusal_names_both_ways_to_present_a_token(served):
    _, _, answer = await served.ask("/v1/runs", token="x.y.z")  # noqa: S106 - no secret
    schemes = [value.split()[0] for value in answer.headers.getall("WWW-Authenticate")]
    assert schemes == ["Bearer", "DPoP"]


async def test_beginning_and_cancelling_a_run_are_an_act_each(served):
    token = narrow(served.token(), "rated", [MaxRate(10, 60)])
    run = await served.begin(WAITING, token=token)
    assert served.counter.acts == 1
    path = f"/v1/runs/{run}/cancel"
    await served.ask(path, method="POST", token=token, json={"reason": "enough"})
    assert served.counter.acts == 2


async def test_a_stream_of_events_is_one_act_however_long_it_lives(served):
    token = narrow(served.token(), "rated", [MaxRate(10, 60)])
    headers = {"Authorization": f"Bearer {token}"}
    async with served.session.get(served.url + "/v1/events", headers=headers) as answer:
        with anyio.fail_after(10):
            seen = 0
            async for line in answer.content:
                seen += line.startswith(b":")
                if seen == 3:
                    break
    assert served.counter.acts == 1
