"""The API document says what is: every real answer is held against it."""

import re

import jsonschema
import pytest

from toka.orchestration_service import STATUS_BY_CODE, ServiceError, status_of
from toka.orchestration_service._routes import ROUTES

pytestmark = pytest.mark.anyio

STEERING = ("cancel", "pause", "resume")
UNKNOWN = "01JD3X8ZK5Q6T7V8W9XAYBZCDE"


@pytest.fixture
async def document(served) -> dict:
    return (await served.ask("/openapi.json"))[1]


def check(document: dict, path: str, method: str, status: int, media: str, body: object) -> None:
    answer = document["paths"][path][method.lower()]["responses"][str(status)]
    schema = answer["content"][media]["schema"]
    jsonschema.Draft202012Validator({**schema, "components": document["components"]}).validate(body)


async def test_every_route_is_in_the_document(document):
    described = {
        (method.upper(), path) for path, item in document["paths"].items() for method in item
    }
    assert described == {(route.method, route.path) for route in ROUTES}
    assert document["openapi"] == "3.1.0"


async def test_every_schema_is_sound(document):
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    references = set(re.findall(r"#/components/schemas/(\w+)", str(document)))
    assert references == set(document["components"]["schemas"])


async def test_operations_have_names_of_their_own(document):
    names = [
        operation["operationId"]
        for item in document["paths"].values()
        for operation in item.values()
    ]
    assert len(names) == len(set(names)) == len(ROUTES)


async def test_answers_are_what_the_document_says(served, document):
    run = await served.begin("hello.yaml")
    await served.ended(run)
    asking, _ = await served.begin("asking.yaml"), await served.begin("asking.yaml")
    waiting = await served.until("/v1/approvals", lambda body: len(body["approvals"]) == 2)
    (approval,) = (each for each in waiting["approvals"] if not each["agent"].startswith(asking))
    page = (await served.ask(f"/v1/log?run={run}&kind=step."))[1]
    names = {
        "run": run,
        "agent": f"{run}/hello",
        "approval": approval["approval"],
        "event": page["events"][0]["id"],
    }
    bodies = {
        "/v1/runs": {"source": "hello.yaml"},
        "/v1/approvals/{approval}": {"decision": "deny"},
        "/v1/runs/{run}/retry": {"step": names["event"]},
        **{
            route.path: {} for route in ROUTES if route.path.endswith(("cancel", "pause", "resume"))
        },
    }
    seen = 0
    # What ends the run is asked for last.
    for route in sorted(ROUTES, key=lambda route: route.path.endswith("cancel")):
        if route.media != "application/json":
            continue
        steers = route.path.endswith(STEERING)
        chosen = {**names, "run": asking, "agent": f"{asking}/asking"} if steers else names
        path = route.path.format(**chosen)
        how = {"json": bodies[route.path]} if route.body else {}
        status, body, answer = await served.ask(path, method=route.method, **how)
        assert status == route.status, body
        check(document, route.path, route.method, status, answer.content_type, body)
        seen += 1
    assert seen == len(ROUTES) - 2


async def test_refusals_are_what_the_document_says(served, document):
    names = {"run": UNKNOWN, "agent": UNKNOWN, "approval": UNKNOWN, "event": UNKNOWN}
    weak = served.token("fs:read:/nothing")
    for route in ROUTES:
        path = route.path.format(**names)
        for token in ("bad", weak, served.token()):
            status, body, answer = await served.ask(
                path + "?limit=x", method=route.method, token=token, data="{"
            )
            if status >= 400:
                assert body["status"] == status
                check(document, route.path, route.method, status, answer.content_type, body)


def test_the_longest_code_decides():
    assert status_of("kernel.capability_denied") == 403
    assert status_of("kernel.anything_else") == 409
    assert status_of("spec.several") == 422
    assert status_of("nobody.knows") == 500
    assert status_of("service.error") == 500


def test_every_error_of_the_service_has_a_status():
    codes = {kind.default_code for kind in ServiceError.__subclasses__()}
    # What cannot be listened on is never said over HTTP.
    assert codes - STATUS_BY_CODE.keys() == {"service.address"}
