"""Calls of a real server, and what hostile arguments, documents and answers come to."""

from __future__ import annotations

import base64
import json
from email import message_from_bytes
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from toka.tools import (
    AccessDeniedError,
    AddressDeniedError,
    HttpRequestError,
    InvalidArgumentsError,
    ToolRegistry,
    effect_of,
)
from toka.tools.openapi import (
    InvalidDocumentError,
    InvalidResultError,
    OpenApiOptions,
    fetch_openapi,
    parse_openapi,
)
from toka.tools.secrets import EnvironmentSecrets, SecretMissingError

if TYPE_CHECKING:
    from collections.abc import Callable

    from toka.tools import ToolContext

pytestmark = pytest.mark.anyio


def parameter(name: str, place: str, **said: Any) -> dict[str, Any]:
    return {"name": name, "in": place, "schema": {}, "required": place == "path", **said}


def answers(schema: Any, status: str = "200", media: str = "application/json") -> dict[str, Any]:
    return {"responses": {status: {"content": {media: {"schema": schema}}}}}


async def test_every_parameter_reaches_its_place(call, server) -> None:
    operation = {
        "parameters": [
            parameter("id", "path"),
            parameter("tags", "query"),
            parameter("X-Trace", "header"),
            parameter("session", "cookie"),
            parameter("Authorization", "header"),
        ]
    }
    arguments = {
        "id": "a b/é".replace("/", ""),
        "tags": ["x&y", "z"],
        "X-Trace": "t",
        "session": "s;1",
    }
    value = await call(operation, arguments, path="/things/{id}/x")
    assert server.last["path"] == "/things/a%20b%C3%A9/x"
    assert server.last["query"] == "tags=x%26y&tags=z"
    assert server.last["headers"]["X-Trace"] == "t"
    assert server.last["headers"]["Cookie"] == "session=s%3B1"
    assert (value["ok"], value["status"], value["media_type"]) == (True, 200, "application/json")
    assert value["body"]["method"] == "GET"


async def test_a_json_body_is_sent(call, server) -> None:
    body = {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}
    operation = {"requestBody": body}
    await call(operation, {"body": {"a": ["é", None]}}, method="post")
    assert json.loads(server.last["body"]) == {"a": ["é", None]}
    assert server.last["headers"]["Content-Type"] == "application/json"
    with pytest.raises(InvalidArgumentsError, match="body"):
        await call(operation, {}, method="post")


async def test_a_form_is_sent(call, server) -> None:
    members = {"name": {"type": "string"}, "tags": {"type": "array"}, "place": {"type": "object"}}
    content = {"application/x-www-form-urlencoded": {"schema": {"properties": members}}}
    arguments = {"body": {"name": "a&b=c", "tags": ["x", "y"], "place": {"x": 1}}}
    await call({"requestBody": {"content": content}}, arguments, method="post")
    assert server.last["body"] == "name=a%26b%3Dc&tags=x&tags=y&place=%7B%22x%22%3A1%7D"


async def test_files_are_sent_as_multipart(call, server) -> None:
    members = {
        "file": {"type": "string", "format": "binary", "description": "A file."},
        'na"me\r\nX: y': {"type": "string"},
        "about": {"type": "object"},
        "image": {"type": "string", "contentMediaType": "image/png"},
    }
    media = {
        "schema": {"type": "object", "properties": members},
        "encoding": {"image": {"contentType": "image/png, image/jpeg"}},
    }
    data = base64.b64encode(b"\x00--x\r\n").decode()
    await call(
        {"requestBody": {"content": {"multipart/form-data": media}}},
        {"body": {"file": data, 'na"me\r\nX: y': "v", "about": {"a": 1}, "image": data}},
        method="post",
    )
    head = f"Content-Type: {server.last['headers']['Content-Type']}\r\n\r\n"
    parts: Any = message_from_bytes((head + server.last["body"]).encode()).get_payload()
    assert [
        (part.get_param("name", header="Content-Disposition"), part.get_content_type())
        for part in parts
    ] == [
        ("file", "application/octet-stream"),
        ("na%22me%0D%0AX: y", "text/plain"),
        ("about", "application/json"),
        ("image", "image/png"),
    ]
    assert "\0--x" in parts[0].get_payload()
    assert parts[0].get_filename() == "file"


async def test_text_and_bytes_are_sent_as_they_are(call, server) -> None:
    await call(
        {"requestBody": {"content": {"application/xml": {}}}}, {"body": "<é/>"}, method="put"
    )
    assert server.last["body"] == "<é/>"
    octets = {"requestBody": {"content": {"application/octet-stream": {}}}}
    await call(octets, {"body": base64.b64encode(b"raw").decode()}, method="put")
    assert server.last["body"] == "raw"
    with pytest.raises(InvalidArgumentsError, match="base64"):
        await call(octets, {"body": "!"}, method="put")


async def test_a_success_is_checked_against_its_schema(call, server) -> None:
    operation = answers(
        {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}}
    )
    server.answers = [web.json_response({"id": 1}), web.json_response({"id": "x" * 900})]
    assert (await call(operation))["body"] == {"id": 1}
    with pytest.raises(InvalidResultError, match=r"status 200.*\$\.id") as caught:
        await call(operation)
    assert len(str(caught.value)) < 700
    server.answers = [web.json_response({"id": "x"})]
    value = await call(operation, checks_results=False)
    assert value["body"] == {"id": "x"}
    assert value["violation"].startswith("$.id")


@pytest.mark.parametrize("status", ["2XX", "default", "201"])
async def test_the_nearest_description_of_a_status_counts(call, server, status: str) -> None:
    server.answers = [web.json_response([], status=201)]
    with pytest.raises(InvalidResultError):
        await call(answers({"type": "object"}, status))


async def test_success_that_is_no_json_is_told(call, server) -> None:
    server.answers = [web.Response(body=b"{", content_type="application/json")]
    with pytest.raises(InvalidResultError, match="not JSON"):
        await call({})


async def test_an_error_status_is_a_result_with_its_problem(call, server) -> None:
    problem = {"type": "about:blank", "title": "No", "status": 404, "code": "x.missing"}
    server.answers = [
        web.json_response(
            problem,
            status=404,
            content_type="application/problem+json",
            headers={"Retry-After": "3", "X-Noise": "1"},
        )
    ]
    value = await call(answers({"type": "array"}, "default"))
    assert (value["ok"], value["status"], value["problem"]) == (False, 404, problem)
    assert value["headers"] == {"Retry-After".lower(): "3"}
    server.answers = [web.Response(status=500, text="oops")]
    value = await call(answers({"type": "array"}))
    assert (value["ok"], value["status"], value["body"]) == (False, 500, "oops")


async def test_what_is_no_text_is_base64_and_nothing_is_nothing(call, server) -> None:
    server.answers = [web.Response(body=b"\xff\x00"), web.Response(status=204)]
    assert (await call({}))["body_base64"] == "/wA="
    assert "body" not in await call(answers({"type": "object"}, "204"))


async def test_a_result_satisfies_the_result_schema(server, made, context_for) -> None:
    operation = answers({"$ref": "#/components/schemas/A"})
    schemas = {"A": {"type": "object", "required": ["id"]}}
    options = OpenApiOptions(server=server.url)
    (tool,) = made(
        {"/a": {"get": operation}}, options=options, components={"schemas": schemas}
    ).tools
    granted = context_for(f"net:get:{server.url}/**", "net:private:127.0.0.1")
    validator = __import__("jsonschema").Draft202012Validator(tool.result_schema)
    server.answers = [web.json_response({"id": 1}), web.json_response({}, status=400)]
    for _ in range(2):
        validator.validate((await tool.call({}, granted)).value)
    wrong = {"ok": True, "status": 200, "media_type": "", "headers": {}, "body": {}}
    assert not validator.is_valid(wrong)


async def test_a_long_answer_is_cut_and_not_checked(call, server, context_for) -> None:
    server.answers = [web.json_response({"id": "x" * 500})]
    granted = context_for(
        f"net:get:{server.url}/**", "net:private:127.0.0.1", output_limit_bytes=100
    )
    value = await call(answers({"type": "array"}), context=granted)
    assert value["truncated"] is True
    assert value["_result"].truncated
    assert len(value["body"]) == 100


# Hostile arguments


@pytest.mark.parametrize(
    "value", ["../admin", "..", ".", "a/b", "a\\b", "%2e%2e", "..%2fadmin", "a\0b", ""]
)
async def test_an_argument_cannot_leave_its_place_in_the_path(call, server, value: str) -> None:
    operation = {"parameters": [parameter("id", "path")]}
    try:
        await call(operation, {"id": value}, path="/users/{id}")
    except (AddressDeniedError, InvalidArgumentsError):
        assert server.requests == []
    else:
        # What looks like an escape is text: the server sees it as one.
        assert server.last["path"] == "/users/" + value.replace("%", "%25")


@pytest.mark.parametrize("value", ["?admin=1", "#x", "a?b", ";x=1", "a b", "ä"])
async def test_the_request_names_the_very_url_that_is_sent(
    server, made, workspace, context_for, value
) -> None:
    options = OpenApiOptions(server=server.url)
    paths = {"/users/{id}": {"get": {"parameters": [parameter("id", "path")]}}}
    (tool,) = made(paths, options=options).tools
    (request,) = tool.requests({"id": value}, workspace)
    await tool.call({"id": value}, context_for(request, "net:private:127.0.0.1"))
    assert request == f"net:get:{server.url}{server.last['path']}"
    assert server.last["query"] == ""


async def test_the_base_of_the_server_cannot_be_left_either(made, workspace) -> None:
    options = OpenApiOptions(server="https://a.example/tenant/one")
    paths = {"/../../admin": {"get": {}}}
    (tool,) = made(paths, options=options).tools
    with pytest.raises(AddressDeniedError):
        tool.requests({}, workspace)


@pytest.mark.parametrize("value", ["a\r\nX-Admin: 1", "a\nb", "a\0", "\u2028"])
async def test_a_header_cannot_be_broken_out_of(call, server, value: str) -> None:
    operation = {"parameters": [parameter("X-Name", "header")]}
    with pytest.raises(InvalidArgumentsError, match="X-Name"):
        await call(operation, {"X-Name": value})
    assert server.requests == []


async def test_a_cookie_cannot_be_broken_out_of(call, server) -> None:
    operation = {"parameters": [parameter("c", "cookie")]}
    await call(operation, {"c": "a; admin=1\r\nX: y"})
    assert server.last["headers"]["Cookie"] == "c=a%3B%20admin%3D1%0D%0AX%3A%20y"


async def test_half_a_character_is_refused(call, server) -> None:
    operation = {
        "parameters": [parameter("q", "query")],
        "requestBody": {"content": {"text/plain": {}}},
    }
    for arguments in ({"q": "\ud800"}, {"body": "\ud800"}, {"q": ["\ud800"]}):
        with pytest.raises(InvalidArgumentsError, match="character"):
            await call(operation, arguments, method="post")
    assert server.requests == []


# Hostile documents


async def test_a_server_inside_needs_a_grant_that_says_so(server, made, context_for) -> None:
    servers = [{"url": server.url.replace("127.0.0.1", "localhost")}]
    (tool,) = made({"/a": {"get": {"servers": servers}}}, options=OpenApiOptions()).tools
    with pytest.raises(AddressDeniedError, match="not a public address"):
        await tool.call({}, context_for("net:get:http://*:*/**"))
    with pytest.raises(AccessDeniedError, match="not granted"):
        await ToolRegistry.of([tool]).call(
            tool.name, {}, context_for("net:get:https://a.example/**")
        )
    assert server.requests == []


@pytest.mark.parametrize("host", ["169.254.169.254", "[::1]", "10.0.0.1", "127.0.0.1"])
async def test_wildcard_grants_do_not_lead_to_private_addresses(
    made, context_for, host: str
) -> None:
    servers = [{"url": f"http://{host}:8181"}]
    (tool,) = made({"/a": {"get": {"servers": servers}}}, options=OpenApiOptions()).tools
    with pytest.raises(AddressDeniedError):
        await tool.call({}, context_for("net:get:http://**"))


@pytest.mark.parametrize(
    "url", ["http://0177.0.0.1", "http://2130706433", "http://a@b", "http://h:25"]
)
def test_urls_in_unusual_forms_are_no_servers(made, url: str) -> None:
    result = made({"/a": {"get": {"servers": [{"url": url}]}}}, options=OpenApiOptions())
    assert "no URL" in result.skipped[0].reason


# Credentials

SCHEMES = {
    "key": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
    "query": {"type": "apiKey", "in": "query", "name": "api_key"},
    "cookie": {"type": "apiKey", "in": "cookie", "name": "sid"},
    "bearer": {"type": "http", "scheme": "Bearer"},
    "basic": {"type": "http", "scheme": "basic"},
    "oauth": {"type": "oauth2", "flows": {}},
    "mutual": {"type": "mutualTLS"},
}
MEMBERS = {"components": {"securitySchemes": SCHEMES}}
SECRET = "s3cr3t+/value"  # noqa: S105 - of this test
USE = ("secret:use:mine",)


@pytest.mark.parametrize(
    ("scheme", "place", "sent"),
    [
        ("key", "X-Api-Key", SECRET),
        ("cookie", "Cookie", "sid=s3cr3t%2B%2Fvalue"),
        ("bearer", "Authorization", f"Bearer {SECRET}"),
        ("oauth", "Authorization", f"Bearer {SECRET}"),
    ],
)
async def test_a_secret_goes_where_its_scheme_says_and_nowhere_else(
    call, server, secrets, scheme: str, place: str, sent: str
) -> None:
    value = await call(
        {"security": [{scheme: []}]},
        permissions=USE,
        secrets=secrets(mine=SECRET),
        security={scheme: "mine"},
        members=MEMBERS,
    )
    assert server.last["headers"][place] == sent
    # The server repeats all that it was sent: it does not come through.
    assert "s3cr3t" not in str(value)
    assert "[secret: mine]" in str(value)


async def test_a_secret_in_the_query_is_in_no_permission_and_no_result(
    call, server, secrets
) -> None:
    location = {"Location": "/next?again=s3cr3t%2B%2Fvalue"}
    server.answers = [web.Response(status=302, headers=location), web.json_response({})]
    value = await call(
        {"security": [{"query": []}]},
        permissions=USE,
        secrets=secrets(mine=SECRET),
        security={"query": "mine"},
        members=MEMBERS,
    )
    assert server.requests[0]["query"] == "api_key=s3cr3t%2B%2Fvalue"
    assert "s3cr3t" not in str(value)


async def test_a_secret_does_not_follow_a_redirect_to_another_origin(
    call, server, secrets, context_for
) -> None:
    seen: list[str] = []

    async def other(request: web.BaseRequest) -> web.Response:
        seen.append(f"{request.raw_headers} {request.rel_url}")
        return web.json_response({})

    runner = web.ServerRunner(web.Server(other))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.answers = [web.Response(status=307, headers={"Location": f"{site.name}/elsewhere"})]
    permissions = (f"net:get:{server.url}/**", f"net:get:{site.name}/**", "net:private:127.0.0.1")
    value = await call(
        {"security": [{"key": [], "query": [], "cookie": [], "bearer": []}]},
        context=context_for(*permissions, *USE),
        secrets=secrets(mine=SECRET),
        security=dict.fromkeys(("key", "query", "cookie"), "mine") | {"bearer": "mine"},
        members=MEMBERS,
    )
    await runner.cleanup()
    assert value["ok"]
    assert len(seen) == 1
    assert "s3cr3t" not in seen[0]


async def test_user_and_password_are_sent_by_basic(call, server, secrets) -> None:
    value = await call(
        {"security": [{"basic": []}]},
        permissions=USE,
        secrets=secrets(mine="user:passw0rd"),
        security={"basic": "mine"},
        members=MEMBERS,
    )
    assert server.last["headers"]["Authorization"] == "Basic dXNlcjpwYXNzdzByZA=="
    assert "dXNlc" not in str(value)


async def test_a_secret_needs_a_grant_of_its_own(call, server, secrets) -> None:
    with pytest.raises(AccessDeniedError, match="secret:use:mine"):
        await call(
            {"security": [{"key": []}]},
            secrets=secrets(mine=SECRET),
            security={"key": "mine"},
            members=MEMBERS,
        )
    assert server.requests == []


async def test_an_argument_cannot_take_the_place_of_a_credential(made) -> None:
    operation = {
        "security": [{"key": [], "query": []}],
        "parameters": [parameter("x-api-key", "header"), parameter("api_key", "query")],
    }
    options = OpenApiOptions(server="https://a.example", security={"key": "a", "query": "b"})
    (tool,) = made({"/a": {"get": operation}}, options=options, **MEMBERS).tools
    assert tool.parameters["properties"] == {}


async def test_the_alternative_with_secrets_is_taken(made, workspace) -> None:
    def asked(security: Any, **named: str) -> tuple[str, ...]:
        options = OpenApiOptions(server="https://a.example", security=named)
        (tool,) = made({"/a": {"get": {"security": security}}}, options=options, **MEMBERS).tools
        return tool.requests({}, workspace)[1:]

    both = [{"mutual": []}, {"key": []}, {"bearer": []}]
    assert asked(both, bearer="b") == ("secret:use:b",)
    assert asked([{"key": [], "basic": []}], key="a", basic="b") == ("secret:use:a", "secret:use:b")
    assert asked([{"key": []}, {}]) == ()
    assert asked([{"key": []}, {}], key="a") == ("secret:use:a",)
    assert asked([], key="a") == ()
    with pytest.raises(AccessDeniedError, match="needs a credential for 'key'"):
        asked(both)


def test_what_no_secret_can_meet_is_no_tool(made) -> None:
    result = made({"/a": {"get": {"security": [{"mutual": []}]}}}, **MEMBERS)
    assert "'mutual' is of another kind" in result.skipped[0].reason


def test_a_misspelt_scheme_or_a_secret_in_place_of_its_name_is_refused(made) -> None:
    with pytest.raises(InvalidDocumentError, match="no security scheme 'kee'"):
        made({}, options=OpenApiOptions(security={"kee": "mine"}), **MEMBERS)
    with pytest.raises(InvalidDocumentError) as caught:
        OpenApiOptions(security={"key": "ghp_REALTOKEN"})
    assert "REALTOKEN" not in str(caught.value)


async def test_a_secret_that_is_no_header_is_not_told(call, server, secrets) -> None:
    with pytest.raises(InvalidArgumentsError) as caught:
        await call(
            {"security": [{"key": []}]},
            permissions=USE,
            secrets=secrets(mine="s3cr3t\r\nX: y"),
            security={"key": "mine"},
            members=MEMBERS,
        )
    assert "s3cr3t" not in f"{caught.value!r} {caught.value.details}"
    assert server.requests == []


async def test_no_error_of_a_call_holds_a_secret(made, secrets, context_for) -> None:
    import asyncio  # noqa: PLC0415 - only this server speaks no HTTP

    async def repeat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(head.replace(b"\r\n", b" ") + b"\r\n\r\n")
        writer.close()

    listening = await asyncio.start_server(repeat, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    options = OpenApiOptions(
        server=url, security={"query": "mine", "key": "mine"}, secrets=secrets(mine=SECRET)
    )
    operation = {"security": [{"query": [], "key": []}]}
    (tool,) = made({"/a": {"get": operation}}, options=options, **MEMBERS).tools
    async with listening:
        with pytest.raises(HttpRequestError) as caught:
            await tool.call({}, context_for(f"net:get:{url}/**", "net:private:127.0.0.1", *USE))
    said = f"{caught.value!r} {caught.value.details} {caught.value.__cause__}"
    assert "s3cr3t" not in said
    assert "s3cr3t" not in repr(tool)


async def test_secrets_come_from_the_environment_by_name() -> None:
    secrets = EnvironmentSecrets(environ={"TOKA_SECRET_GITHUB_TOKEN": "x"})
    assert await secrets.read("github-token") == "x"
    for alike in ("github_token", "GitHub-Token"):  # The same variable under another permission.
        with pytest.raises(SecretMissingError, match="Name it github-token"):
            await secrets.read(alike)
    with pytest.raises(SecretMissingError, match="TOKA_SECRET_OTHER"):
        await secrets.read("other")


async def test_an_idempotency_key_is_passed_on(call, server, made, context_for) -> None:
    operation = {"parameters": [parameter("Idempotency-Key", "header")]}
    (tool,) = made({"/a": {"post": operation}}).tools
    assert tool.honours_idempotency_key
    assert tool.parameters["properties"] == {}
    assert effect_of(tool, {}) == "external"
    granted = context_for(
        f"net:post:{server.url}/**", "net:private:127.0.0.1", idempotency_key="step-1"
    )
    await call(operation, method="post", context=granted)
    assert server.last["headers"]["Idempotency-Key"] == "step-1"


# Documents from a server


async def test_a_document_is_fetched_by_the_checked_client(server, document, context_for) -> None:
    text = json.dumps(document({"/a": {"get": {"servers": [{"url": "../v2"}]}}})).encode()
    granted: Callable[..., ToolContext] = context_for
    context = granted(f"net:get:{server.url}/**", "net:private:127.0.0.1")
    server.answers = [web.Response(body=text), web.Response(status=404)]
    (tool,) = (await fetch_openapi(f"{server.url}/docs/openapi.json", context)).tools
    assert tool.operation.base == f"{server.url}/v2"
    with pytest.raises(InvalidDocumentError, match="status 404"):
        await fetch_openapi(f"{server.url}/docs/openapi.json", context)
    with pytest.raises(AddressDeniedError):
        await fetch_openapi(f"{server.url}/docs", granted("net:get:http://*:*/**"))
    with pytest.raises(AddressDeniedError):
        await fetch_openapi(f"{server.url}/docs", granted("net:get:https://a.example/**"))


async def test_a_fetched_document_has_no_secret_sent_elsewhere(server, context_for) -> None:
    said: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "x", "version": "1"},
        "servers": [{"url": "https://evil.example"}],
        "components": {"securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}},
        "paths": {"/a": {"get": {"security": [{"key": []}]}}},
    }
    server.answers = [web.Response(body=json.dumps(said).encode()) for _ in range(3)]
    context = context_for(f"net:get:{server.url}/**", "net:private:127.0.0.1")
    place, named = f"{server.url}/openapi.json", {"key": "mine"}
    with pytest.raises(InvalidDocumentError, match=r"https://evil\.example"):
        await fetch_openapi(place, context, OpenApiOptions(security=named))
    chosen = OpenApiOptions(server="https://api.example", security=named)
    (tool,) = (await fetch_openapi(place, context, chosen)).tools
    assert tool.operation.base == "https://api.example"
    (tool,) = (await fetch_openapi(place, context)).tools
    assert tool.operation.base == "https://evil.example"


def test_nothing_of_the_network_is_loaded_to_list_tools() -> None:
    import subprocess  # noqa: PLC0415 - only here
    import sys  # noqa: PLC0415

    code = (
        "import sys\nfrom toka.tools.openapi import *\n"
        'made = parse_openapi(b\'{"openapi": "3.1.0", "paths": {"/a": {"get": {}}}}\','
        ' OpenApiOptions(server="https://a.example"))\n'
        "assert made.tools[0].parameters\n"
        "print([name for name in 'aiohttp anyio jsonschema yaml'.split() if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603 - ours
    assert done.stdout.strip() == "[]"


def test_parsing_uses_the_given_source_in_errors() -> None:
    with pytest.raises(InvalidDocumentError, match=r"^pets\.json"):
        parse_openapi(b"{}", source="pets.json")
