"""Who is let in: tokens, what they must cover, and that refusals tell nothing."""

import pytest

from toka.orchestration_service._routes import ROUTES

pytestmark = pytest.mark.anyio

UNKNOWN = "01JD3X8ZK5Q6T7V8W9XAYBZCDE"


def path_of(route) -> str:
    return route.path.format(run=UNKNOWN, agent=f"{UNKNOWN}/a", approval=UNKNOWN, event=UNKNOWN)


GUARDED = [route for route in ROUTES if not route.is_open]


async def test_everything_but_health_needs_a_token(served):
    for route in GUARDED:
        async with served.session.request(route.method, served.url + path_of(route)) as answer:
            body = await answer.json(content_type=None)
            assert (answer.status, body["code"]) == (401, "auth.denied"), route
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
            assert answer.content_type == "application/problem+json"


@pytest.mark.parametrize("name", ["token", "introspect", "revoke", "jwks", ""])
async def test_where_no_tokens_are_exchanged_nothing_below_auth_is_open(served, name):
    for method in ("GET", "POST"):
        async with served.session.request(method, f"{served.url}/auth/{name}") as answer:
            assert (answer.status, (await answer.json())["code"]) == (401, "auth.denied")


async def test_a_token_without_the_permission_is_refused(served):
    token = served.token("fs:read:/nothing")
    for route in GUARDED:
        if route.path in ("/openapi.json", "/v1/approvals"):
            continue
        status, body, _ = await served.ask(
            path_of(route), method=route.method, token=token, json={"decision": "deny"}
        )
        # Whether an approval or an event exists is for those to know who may answer or read it.
        is_hidden = "{approval}" in route.path or "{event}" in route.path
        assert status == (404 if is_hidden else 403), (route, body)


async def test_health_is_open_and_measured(served):
    async with served.session.get(f"{served.url}/health") as answer:
        body = await answer.json()
    assert body["status"] == "healthy"
    assert body["agent_count"] == 0
    assert body["uptime_seconds"] > 0


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic dXNlcjpwYXNz",
        "Bearer a.b.c",
        "Bearer " + "x" * 8_192,
        "Bearer \xfc",
    ],
)
async def test_every_bad_credential_gets_the_same_answer(served, header):
    answers = set()
    for value in (header, "Bearer eyJhbGciOiJub25lIn0.e30."):
        async with served.session.get(
            f"{served.url}/v1/runs", headers={"Authorization": value}
        ) as answer:
            answers.add((answer.status, await answer.text(), answer.headers["WWW-Authenticate"]))
    assert len(answers) == 1
    assert answers.pop()[0] == 401


async def test_two_credentials_are_none(served):
    token = served.token()
    headers = [("Authorization", f"Bearer {token}"), ("Authorization", f"Bearer {token}")]
    async with served.session.get(f"{served.url}/v1/runs", headers=headers) as answer:
        assert answer.status == 401


async def test_an_unknown_address_is_not_told_from_a_known_one_without_a_token(served):
    answers = set()
    for path in ("/v1/runs", "/v1/nothing", "/v1/runs/..%2f", "/%2e%2e/etc"):
        async with served.session.get(served.url + path) as answer:
            answers.add((answer.status, await answer.text()))
    assert len(answers) == 1


async def test_an_existing_run_is_not_told_from_an_unknown_one(served):
    run = await served.begin("hello.yaml")
    weak = served.token(f"run:read:{UNKNOWN}")
    first, _, _ = await served.ask(f"/v1/runs/{run}", token=weak)
    other = UNKNOWN[:-1] + "F"
    second, _, _ = await served.ask(f"/v1/runs/{other}", token=weak)
    assert first == second == 403


async def test_a_token_for_one_run_reads_that_run_alone(served):
    run = await served.begin("hello.yaml")
    token = served.token(f"run:read:{run}")
    assert (await served.ask(f"/v1/runs/{run}", token=token))[0] == 200
    assert (await served.ask("/v1/runs", token=token))[0] == 403


async def test_a_wildcard_in_a_path_is_no_identifier(served):
    token = served.token("run:read:*", "agent:read:**")
    for path in ("/v1/runs/*", "/v1/agents/**", "/v1/runs/%2A"):
        assert (await served.ask(path, token=token))[0] == 404


async def test_a_revoked_token_is_refused_at_once(served):
    token = served.token()
    assert (await served.ask("/v1/runs", token=token))[0] == 200
    served.revocations.revoke_subject("toka", "tester", issued_until=2**40)
    assert (await served.ask("/v1/runs", token=token))[0] == 401


async def test_answers_carry_security_headers_and_allow_no_other_origin(served):
    for path in ("/health", "/v1/runs", "/nothing"):
        _, _, answer = await served.ask(path, headers={"Origin": "https://elsewhere.example"})
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Server"] == "toka"
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]


async def test_another_method_says_which_are_possible(served):
    status, body, answer = await served.ask("/v1/runs", method="DELETE")
    assert (status, body["code"]) == (405, "service.not_allowed")
    assert answer.headers["Allow"] == "GET, POST"
