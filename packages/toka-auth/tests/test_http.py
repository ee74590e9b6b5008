import asyncio

import attrs
import pytest
from aiohttp import ClientSession, web

from toka.auth import (
    EXCHANGE_GRANT,
    JWT_TYPE,
    Authenticator,
    DpopNonces,
    DpopProofs,
    Endpoints,
    MemoryRevocations,
    MemoryUsedTokens,
    access_token_hash,
    auth_application,
)
from toka.capability.delegation import DelegatedValidator, narrow
from toka.capability.jwt_hs256 import JwtHs256Issuer, JwtHs256Validator

pytestmark = pytest.mark.anyio
NOW = 1_795_000_000


@pytest.fixture
def endpoints(key, clock, outside):
    revoked = MemoryRevocations()
    capabilities = DelegatedValidator(JwtHs256Validator([key], clock))
    proofs = DpopProofs(clock, MemoryUsedTokens(clock))
    return Endpoints(
        authenticator=Authenticator([capabilities], clock, revoked=revoked, proofs=proofs),
        identities=Authenticator([outside], clock),
        issuer=JwtHs256Issuer(key, clock),
        clock=clock,
        revocations=revoked,
    )


@pytest.fixture
async def server(endpoints):
    application = web.Application()
    application.add_subapp("/auth", auth_application(endpoints))
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/auth"
    await runner.cleanup()


@pytest.fixture
async def session():
    async with ClientSession() as session:
        yield session


@pytest.fixture
def admin(key, clock, claims):
    permissions = ("auth:introspect:token", "auth:revoke:token")
    admin = attrs.evolve(claims, subject="admin", permissions=permissions, token_id="admin")  # noqa: S106
    return {"Authorization": "Bearer " + JwtHs256Issuer(key, clock).issue(admin)}


async def post(session, url, form, headers=None):
    async with session.post(url, data=form, headers=headers) as response:
        return response.status, await response.json(), response.headers


async def test_a_token_is_exchanged_described_and_taken_back(
    server, session, signer, identity, admin
):
    form = {
        "grant_type": EXCHANGE_GRANT,
        "subject_token": signer.sign(identity),
        "subject_token_type": JWT_TYPE,
    }
    status, body, headers = await post(session, f"{server}/token", form)
    assert status == 200
    assert headers["Cache-Control"] == "no-store"
    token = body["access_token"]
    for active in (True, False):
        status, body, _ = await post(session, f"{server}/introspect", {"token": token}, admin)
        assert (status, body["active"]) == (200, active)
        own = {"Authorization": f"Bearer {token}"}
        if active:
            status, body, _ = await post(session, f"{server}/revoke", {"token": token}, own)
            assert (status, body) == (200, {})


async def test_the_application_answers_as_the_functions_do(
    server, session, endpoints, token, admin
):
    caller = endpoints.authenticator.authenticate(admin["Authorization"][7:])
    for form in ({"token": token}, {"token": "x"}, {"other": "x"}):
        for path in ("introspect", "revoke"):
            if path == "introspect":
                expected = endpoints.introspect(form, caller)
            else:
                expected = await endpoints.revoke(form, caller)
            status, body, _ = await post(session, f"{server}/{path}", form, admin)
            assert (status, body) == (expected.status, dict(expected.body))
    async with session.get(f"{server}/jwks") as response:
        assert await response.json() == endpoints.jwks().body


@pytest.mark.parametrize("path", ["introspect", "revoke"])
@pytest.mark.parametrize(
    "header", [{}, {"Authorization": "Bearer x"}, {"Authorization": "Basic eA=="}]
)
async def test_a_stranger_is_asked_who_he_is(server, session, token, path, header):
    status, body, headers = await post(session, f"{server}/{path}", {"token": token}, header)
    assert (status, body["error"]) == (401, "invalid_client")
    assert headers.getall("WWW-Authenticate") == ["Bearer", "DPoP"]


async def test_two_credentials_are_none(server, session, token, admin):
    twice = [("Authorization", admin["Authorization"])] * 2
    status, body, _ = await post(session, f"{server}/introspect", {"token": token}, twice)
    assert (status, body["error"]) == (401, "invalid_client")


async def test_attack_4_5_03_over_http_anothers_token_looks_like_none(
    server, session, endpoints, key, clock, claims, token
):
    eve = attrs.evolve(claims, subject="eve", token_id="eve")  # noqa: S106
    header = {"Authorization": "Bearer " + JwtHs256Issuer(key, clock).issue(eve)}
    answers = []
    for presented in (token, "x", token[:-4] + "AAAA"):
        async with session.post(
            f"{server}/revoke", data={"token": presented}, headers=header
        ) as response:
            shown = {name: text for name, text in response.headers.items() if name != "Date"}
            answers.append((response.status, shown, await response.read()))
    assert answers == [answers[0]] * 3
    assert endpoints.authenticator.authenticate(token)


async def test_a_member_that_comes_twice_is_no_member(server, session, token, admin):
    form = [("token", token), ("token", "x")]
    status, body, _ = await post(session, f"{server}/introspect", form, admin)
    assert (status, body["error"]) == (400, "invalid_request")


async def test_json_is_no_form(server, session, token, admin):
    async with session.post(
        f"{server}/introspect", json={"token": token}, headers=admin
    ) as response:
        assert response.status == 400


async def test_a_form_that_is_too_large_is_refused(server, session, admin):
    async with session.post(
        f"{server}/introspect", data={"token": "x" * 100_000}, headers=admin
    ) as response:
        assert response.status == 413


async def test_a_bound_token_calls_with_a_proof(server, session, key, clock, claims, signer, token):
    bound = attrs.evolve(
        claims,
        permissions=("auth:introspect:token",),
        holder=signer.thumbprint(),
        token_id="b",  # noqa: S106
    )
    caller = JwtHs256Issuer(key, clock).issue(bound)
    url = f"{server}/introspect"
    proof = {
        "htm": "POST",
        "htu": url,
        "iat": NOW,
        "jti": "p1",
        "ath": access_token_hash(caller),
    }
    header = {"typ": "dpop+jwt", "jwk": signer.key.as_dict(private=False), "kid": ...}
    headers = {"Authorization": f"DPoP {caller}", "DPoP": signer.sign(proof, **header)}
    status, body, _ = await post(session, url + "?x=1", {"token": token}, headers)
    assert (status, body["active"]) == (200, True)
    status, _, _ = await post(session, url, {"token": token}, headers)
    assert status == 401  # the same proof
    without = {"Authorization": f"Bearer {caller}"}
    assert (await post(session, url, {"token": token}, without))[0] == 401


async def test_many_callers_are_answered_at_once(server, session, token, admin):
    tokens = [narrow(token, f"p{number}") for number in range(20)]
    calls = [post(session, f"{server}/introspect", {"token": one}, admin) for one in tokens]
    answers = await asyncio.gather(*calls)
    assert [body["sub"] for _, body, _ in answers] == [f"p{number}" for number in range(20)]


async def test_nonces_are_given_out_where_they_are_demanded(endpoints, clock, session, admin):
    proofs = DpopProofs(clock, MemoryUsedTokens(clock), nonces=DpopNonces(clock))
    runner = web.AppRunner(auth_application(endpoints, proofs=proofs))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    refusals = []
    for credential in ("", "DPoP x.y.z", "Bearer x.y.z"):
        async with session.post(url + "/introspect", headers={"Authorization": credential}) as no:
            refusals.append((no.status, await no.text(), no.headers.getall("WWW-Authenticate")))
            assert no.headers["DPoP-Nonce"] == proofs.nonce
    assert refusals[0][2][-1] == 'DPoP error="use_dpop_nonce"'
    assert refusals == [refusals[0]] * 3
    async with session.post(url + "/introspect", headers=admin, data={"token": "x"}) as yes:
        assert (yes.status, yes.headers["DPoP-Nonce"]) == (200, proofs.nonce)
    await runner.cleanup()
