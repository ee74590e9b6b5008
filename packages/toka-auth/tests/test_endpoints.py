import json

import attrs
import pytest

from toka.auth import (
    EXCHANGE_GRANT,
    JWT_TYPE,
    Answer,
    ApiKeyValidator,
    AuthenticationError,
    Authenticator,
    Endpoints,
    MemoryRevocations,
    OutsideIssuer,
    OutsideValidator,
    PublicKey,
    StoredRevocations,
    TakeBackError,
    new_api_key,
)
from toka.capability.core import Claims, MaxBudget, MaxDepth
from toka.capability.delegation import DelegatedValidator, narrow
from toka.capability.jwt_hs256 import JwtHs256Issuer, JwtHs256Validator
from toka.revocation import Revocations, SqliteLog

pytestmark = pytest.mark.anyio
NOW = 1_795_000_000


@pytest.fixture
def revoked():
    return MemoryRevocations()


@pytest.fixture
def api_key():
    return new_api_key("ci", ["proc:run:*"])


@pytest.fixture
def endpoints(key, clock, outside, revoked, signer, api_key):
    capabilities = DelegatedValidator(JwtHs256Validator([key], clock))
    return Endpoints(
        authenticator=Authenticator([capabilities], clock, revoked=revoked),
        identities=Authenticator([outside, ApiKeyValidator([api_key[1]], clock)], clock),
        issuer=JwtHs256Issuer(key, clock),
        clock=clock,
        revocations=revoked,
        public_keys=[PublicKey.from_jwk(signer.jwk())],
    )


@pytest.fixture
def form(signer, identity):
    return {
        "grant_type": EXCHANGE_GRANT,
        "subject_token": signer.sign(identity),
        "subject_token_type": JWT_TYPE,
    }


async def test_an_outside_identity_becomes_a_short_capability(endpoints, form):
    answer = await endpoints.exchange(form)
    assert answer.status == 200
    assert answer.body["issued_token_type"] == JWT_TYPE
    assert answer.body["token_type"] == "Bearer"  # noqa: S105
    assert answer.body["expires_in"] == 900
    assert ("Cache-Control", "no-store") in answer.headers
    claims = endpoints.authenticator.authenticate(answer.body["access_token"])
    assert claims.subject == "x/u-1"
    assert claims.permissions == ("fs:read:/data/**", "proc:run:git")
    assert claims.expires_at == NOW + 900


async def test_a_capability_does_not_outlive_the_identity(endpoints, form, signer, identity):
    form["subject_token"] = signer.sign({**identity, "exp": NOW + 60})
    answer = await endpoints.exchange(form)
    assert answer.body["expires_in"] == 60


async def test_an_api_key_becomes_a_short_capability(endpoints, form, api_key):
    answer = await endpoints.exchange({**form, "subject_token": api_key[0]})
    assert endpoints.authenticator.authenticate(answer.body["access_token"]).subject == "ci"


async def test_a_scope_narrows(endpoints, form):
    answer = await endpoints.exchange({**form, "scope": "fs:read:/data/public/** proc:run:git"})
    assert answer.body["scope"] == "fs:read:/data/public/** proc:run:git"
    claims = endpoints.authenticator.authenticate(answer.body["access_token"])
    assert claims.granted.covers("fs:read:/data/x") is None


@pytest.mark.parametrize(
    "scope", ["fs:read:/**", "fs:write:/data/x", "all", "", " ", "fs:read:/data/x "]
)
async def test_a_scope_that_widens_is_refused(endpoints, form, scope):
    answer = await endpoints.exchange({**form, "scope": scope})
    assert (answer.status, answer.body["error"]) == (400, "invalid_scope")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": None}, "unsupported_grant_type"),
        ({"subject_token": None}, "invalid_request"),
        ({"subject_token_type": None}, "invalid_request"),
        ({"subject_token_type": "urn:ietf:params:oauth:token-type:saml2"}, "invalid_request"),
        ({"requested_token_type": "urn:x"}, "invalid_request"),
        ({"actor_token": "x"}, "invalid_request"),
        ({"resource": "https://x"}, "invalid_target"),
        ({"audience": ""}, "invalid_target"),
        ({"audience": "x" * 300}, "invalid_target"),
        ({"subject_token": "x"}, "invalid_grant"),
        ({"subject_token": ""}, "invalid_grant"),
        ({"subject_token": "é"}, "invalid_grant"),
    ],
)
async def test_a_request_that_is_not_right_is_answered(endpoints, form, changes, error):
    form = {name: value for name, value in {**form, **changes}.items() if value is not None}
    answer = await endpoints.exchange(form)
    assert (answer.status, answer.body["error"]) == (400, error)
    assert "access_token" not in answer.body


async def test_an_audience_is_named(endpoints, form, key, clock):
    answer = await endpoints.exchange({**form, "audience": "there"})
    there = Authenticator([JwtHs256Validator([key], clock, audience="there")], clock)
    assert there.authenticate(answer.body["access_token"]).audience == ("there",)


async def test_what_a_new_token_cannot_say_is_not_exchanged(endpoints, form, token, key, clock):
    validator = DelegatedValidator(JwtHs256Validator([key], clock))
    endpoints = attrs.evolve(endpoints, identities=Authenticator([validator], clock))
    assert (await endpoints.exchange({**form, "subject_token": token})).status == 200
    for child in (
        narrow(token, "bob"),
        narrow(token, "bob", [MaxDepth(0)]),
        narrow(token, "bob", [MaxBudget((("calls", 1),))]),
    ):
        answer = await endpoints.exchange({**form, "subject_token": child})
        assert answer.body["error"] == "invalid_grant"


async def test_a_budget_cannot_be_doubled_by_exchanging(endpoints, form, rules, published, clock):
    rule = attrs.evolve(rules[0], budget=(("calls", 5),))
    outside = OutsideValidator(
        OutsideIssuer("https://issuer.example", "toka", (rule,)), published, clock
    )
    endpoints = attrs.evolve(endpoints, identities=Authenticator([outside], clock))
    assert (await endpoints.exchange(form)).body["error"] == "invalid_grant"


CALLER = Claims(
    "admin", "default", ("auth:introspect:token", "auth:revoke:token"), NOW, NOW + 9, "c"
)
NOBODY = Claims("eve", "default", ("fs:read:/**",), NOW, NOW + 9, "e")


async def test_an_active_token_is_described(endpoints, token):
    body = endpoints.introspect({"token": token}, CALLER).body
    assert body["active"] is True
    assert (body["sub"], body["jti"], body["exp"]) == ("alice", "t1", NOW + 900)
    assert body["scope"] == "fs:read:/data/**"
    child = endpoints.introspect({"token": narrow(token, "bob")}, CALLER).body
    assert [link["sub"] for link in child["chain"]] == ["alice", "bob"]
    json.dumps(child)


async def test_a_token_that_is_not_active_is_not_described(endpoints, token, revoked):
    assert endpoints.introspect({"token": "x"}, CALLER).body == {"active": False}
    revoked.revoke_token("t1")
    assert endpoints.introspect({"token": token}, CALLER).body == {"active": False}


async def test_only_who_may_asks(endpoints, token):
    assert endpoints.introspect({"token": token}, NOBODY).status == 403
    assert endpoints.introspect({}, CALLER).status == 400


async def test_a_holder_takes_his_token_back(endpoints, token, claims):
    child = narrow(token, "bob")
    assert (await endpoints.revoke({"token": token}, claims)).status == 200
    assert endpoints.introspect({"token": token}, CALLER).body == {"active": False}
    assert endpoints.introspect({"token": child}, CALLER).body == {"active": False}


async def test_a_delegator_takes_back_what_he_handed_on(endpoints, token, claims):
    child, sibling = narrow(token, "bob"), narrow(token, "carol")
    grandchild = narrow(child, "dave")
    assert (await endpoints.revoke({"token": child}, claims)).status == 200
    for presented, active in ((token, True), (child, False), (grandchild, False), (sibling, True)):
        assert endpoints.introspect({"token": presented}, CALLER).body["active"] is active


async def test_a_delegatee_cannot_take_back_what_is_not_his(endpoints, token):
    child = endpoints.authenticator.authenticate(narrow(token, "bob"))
    for caller in (child, NOBODY):
        await endpoints.revoke({"token": token}, caller)
        assert endpoints.introspect({"token": token}, CALLER).body["active"] is True
    assert (await endpoints.revoke({"token": token}, CALLER)).status == 200
    assert endpoints.introspect({"token": token}, CALLER).body == {"active": False}


@pytest.fixture
def unusable(key, clock, claims, signer, identity):
    """What tells a caller nothing: malformed, forged, expired, of an outside issuer."""
    issuer = JwtHs256Issuer(key, clock)
    expired = issuer.issue(attrs.evolve(claims, expires_at=NOW + 1, token_id="old"))  # noqa: S106
    clock.advance(1)
    token = issuer.issue(claims)
    return ["x", "", "é", token[:-4] + "AAAA", expired, "x" * 10_000, signer.sign(identity)]


async def test_attack_4_5_02_what_cannot_be_used_is_answered_in_one_way(endpoints, unusable):
    for presented in unusable:
        assert await endpoints.revoke({"token": presented}, NOBODY) == Answer(200, {})
        assert endpoints.introspect({"token": presented}, CALLER) == Answer(200, {"active": False})


async def test_attack_4_5_03_anothers_token_stays_and_is_answered_as_no_token(
    endpoints, token, unusable
):
    elsewhere = attrs.evolve(CALLER, vault="elsewhere")
    for caller in (NOBODY, elsewhere, attrs.evolve(elsewhere, token_id="t1")):  # noqa: S106
        for presented in (token, narrow(token, "bob"), unusable[0]):
            assert await endpoints.revoke({"token": presented}, caller) == Answer(200, {})
    assert endpoints.introspect({"token": token}, CALLER).body["active"] is True
    for presented in (token, unusable[0]):
        assert endpoints.introspect({"token": presented}, NOBODY).status == 403
        assert endpoints.introspect({"token": presented}, elsewhere).body == {"active": False}


async def test_the_audit_learns_what_the_caller_does_not(endpoints, key, clock, token):
    told = []
    validator = DelegatedValidator(JwtHs256Validator([key], clock))
    authenticator = Authenticator([validator], clock, audit=told.append)
    endpoints = attrs.evolve(endpoints, authenticator=authenticator)
    await endpoints.revoke({"token": token}, NOBODY)
    endpoints.introspect({"token": token}, attrs.evolve(CALLER, vault="elsewhere"))
    assert [refused.denials[0].code for refused in told] == ["auth.not_the_callers"] * 2
    assert token not in repr(told)


async def test_no_token_at_all_is_a_fault(endpoints):
    assert (await endpoints.revoke({}, NOBODY)).status == 400


async def test_without_a_place_for_revocations_the_endpoint_says_so(endpoints, token, claims):
    endpoints = attrs.evolve(endpoints, revocations=None)
    assert (await endpoints.revoke({"token": token}, claims)).status == 503


async def test_only_public_keys_are_published(endpoints, signer, key):
    answer = endpoints.jwks()
    (published,) = answer.body["keys"]
    assert published == {**signer.jwk(), "use": "sig"}
    text = json.dumps(answer.body)
    for private in ('"d"', '"k"', '"p"', '"oct"', key.kid):
        assert private not in text
    with pytest.raises(ValueError, match="secret"):
        PublicKey.from_jwk(signer.key.as_dict(private=True))
    with pytest.raises(ValueError, match="neither"):
        PublicKey.from_jwk({"kty": "oct", "k": "AAAA"})


async def test_a_revocation_that_lasts_is_kept_or_asked_for_again(
    endpoints, token, claims, key, clock, tmp_path
):
    log = SqliteLog(tmp_path / "revocations.sqlite")
    revocations = StoredRevocations(await Revocations.open(log, clock))
    capabilities = DelegatedValidator(JwtHs256Validator([key], clock))
    authenticator = Authenticator([capabilities], clock, revoked=revocations)
    endpoints = attrs.evolve(endpoints, authenticator=authenticator, revocations=revocations)
    child, sibling = narrow(token, "bob"), narrow(token, "carol")
    grandchild = narrow(child, "dave")
    assert authenticator.authenticate(grandchild)
    assert (await endpoints.revoke({"token": child}, claims)).status == 200
    for presented, active in ((token, True), (child, False), (grandchild, False), (sibling, True)):
        assert endpoints.introspect({"token": presented}, CALLER).body["active"] is active
    again = StoredRevocations(await Revocations.open(log, clock))
    anew = Authenticator([capabilities], clock, revoked=again)
    assert anew.authenticate(sibling)
    with pytest.raises(AuthenticationError):
        anew.authenticate(grandchild)
    log.close()


async def test_a_revocation_that_cannot_be_kept_is_asked_for_again(endpoints, token, claims):
    class Broken:
        async def take_back(self, _claims):
            raise TakeBackError("The disk is full.")

    endpoints = attrs.evolve(endpoints, revocations=Broken())
    answer = await endpoints.revoke({"token": token}, claims)
    assert (answer.status, answer.body["error"]) == (503, "temporarily_unavailable")
