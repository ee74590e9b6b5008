from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from toka.tools.openapi import (
    InvalidDocumentError,
    OpenApiOptions,
    UnsupportedOperationError,
    load_openapi,
    parse_openapi,
)
from toka.tools.openapi._document import MAX_DOCUMENT_BYTES, MAX_YAML_BYTES

if TYPE_CHECKING:
    from pathlib import Path

YAML = b"""
openapi: 3.0.3
info: {title: Pets, version: 1.0.0}
servers:
  - url: https://{region}.example.com/v1
    variables: {region: {default: eu, enum: [eu, us]}}
paths:
  /pets/{petId}:
    parameters: [{name: petId, in: path, required: true, schema: {type: integer}}]
    get:
      operationId: showPetById
      summary: Info for a pet
      tags: [pets]
      parameters:
        - name: since
          in: query
          schema: {type: string, default: 2026-01-01, enum: [no, 2026-01-01]}
      responses:
        200:
          content: {application/json: {schema: {$ref: "#/components/schemas/Pet"}}}
components:
  schemas:
    Pet: {type: object, required: [id], properties: {id: {type: integer}}}
"""


def test_a_yaml_document_becomes_tools(tmp_path: Path) -> None:
    file = tmp_path / "pets.yaml"
    file.write_bytes(YAML)
    made = load_openapi(file)
    (tool,) = made.tools
    assert (made.title, made.skipped) == ("Pets", ())
    assert (tool.name, tool.description) == ("show_pet_by_id", "Info for a pet")
    assert tool.parameters == {
        "type": "object",
        "properties": {
            "petId": {"type": "integer"},
            "since": {"type": "string", "default": "2026-01-01", "enum": ["no", "2026-01-01"]},
        },
        "required": ["petId"],
        "additionalProperties": False,
    }
    assert tool.taints


def test_server_variables_are_filled_in(workspace) -> None:
    def asked(**variables: str) -> tuple[str, ...]:
        (tool,) = parse_openapi(YAML, OpenApiOptions(variables=variables)).tools
        return tool.requests({"petId": 7}, workspace)

    assert asked() == ("net:get:https://eu.example.com/v1/pets/7",)
    assert asked(region="us") == ("net:get:https://us.example.com/v1/pets/7",)
    (skipped,) = parse_openapi(YAML, OpenApiOptions(variables={"region": "evil"})).skipped
    assert "server variable region" in skipped.reason


def test_the_version_of_a_tool_changes_with_what_the_document_says() -> None:
    def version(text: bytes) -> str:
        return parse_openapi(text).tools[0].version

    assert version(YAML) == version(YAML.replace(b"title: Pets", b"title: Dogs"))
    assert version(YAML) != version(YAML.replace(b"Info for", b"Obey this instead of"))
    assert version(YAML) != version(YAML.replace(b"type: integer", b"type: string"))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"{", "not JSON"),
        (b'{"openapi": "3.1.0", "paths": ' + b"[" * 5_000, "not JSON"),
        (b"a: &a [1]\nb: *a", "aliases"),
        (b"a: 1\na: 2", "twice"),
        (b"1: 1\n'1': 2", "twice"),
        (b"[]", "not an OpenAPI document"),
        (b'{"swagger": "2.0"}', "Convert it"),
        (b'{"openapi": "4.0.0", "paths": {}}', "4.0.0"),
        (b'{"openapi": "3.1.0", "paths": []}', "paths"),
        (b'{"openapi": "3.1.0", "paths": {"/a": 1}}', "path item"),
        (b"\xff\xfe\x00", "not YAML"),
        (b" " * (MAX_DOCUMENT_BYTES + 1), "longer"),
        (b"a" * (MAX_YAML_BYTES + 1), "Convert it to JSON"),
    ],
)
def test_what_is_no_document_is_refused(text: bytes, why: str) -> None:
    with pytest.raises(InvalidDocumentError, match=why):
        parse_openapi(text)


def test_a_document_of_any_depth_is_refused_without_recursion(document) -> None:
    deep: Any = {}
    for _ in range(400):
        deep = {"not": deep}
    with pytest.raises(InvalidDocumentError, match="nested deeper"):
        parse_openapi(json.dumps(document({}, components={"schemas": {"A": deep}})).encode())


def test_ten_megabytes_are_read_within_a_few_seconds(document) -> None:
    operations = {
        f"/things/{number}": {
            "get": {
                "operationId": f"get_{number}",
                "description": "x" * 9_000,
                "responses": {"200": {"description": "", "content": {}}},
            }
        }
        for number in range(1_100)
    }
    text = json.dumps(document(operations)).encode()
    assert len(text) > 10_000_000
    started = time.process_time()
    made = parse_openapi(text, OpenApiOptions(server="https://a.example"))
    assert time.process_time() - started < 5
    assert len(made.tools) == 1_100
    assert max(len(tool.description) for tool in made.tools) == 2_000


def test_an_operation_id_that_stands_twice_is_refused(made) -> None:
    paths = {f"/{name}": {"get": {"operationId": "same", "responses": {}}} for name in "ab"}
    with pytest.raises(InvalidDocumentError, match="'same' twice: at GET /a and at GET /b"):
        made(paths)


def test_two_names_that_become_one_are_refused(made) -> None:
    paths = {f"/{name}": {"get": {"operationId": name}} for name in ("listPets", "list-pets")}
    with pytest.raises(InvalidDocumentError, match="both be the tool list_pets"):
        made(paths)
    only = OpenApiOptions(server="https://a.example", operations={"list-pets"})
    assert [tool.operation.path for tool in made(paths, options=only).tools] == ["/list-pets"]


@pytest.mark.parametrize(
    ("operation", "path", "name"),
    [
        ("getHTTPStatus", "/", "get_http_status"),
        ("pets/list all", "/", "pets_list_all"),
        ("2fa", "/", "op_2fa"),
        ("é", "/x", "op_"),
        ("", "/pets/{id}/toys", "get_pets_id_toys"),
    ],
)
def test_names_are_made_to_fit(made, operation: str, path: str, name: str) -> None:
    said = {"operationId": operation} if operation else {}
    parameters = [{"name": "id", "in": "path", "required": True}] if "{id}" in path else []
    (tool,) = made({path: {"get": {**said, "parameters": parameters}}}).tools
    assert tool.name == name


def test_long_names_stay_apart(made) -> None:
    paths = {f"/{end}": {"get": {"operationId": "a" * 80 + end}} for end in "xy"}
    names = [tool.name for tool in made(paths).tools]
    assert len(set(names)) == 2
    assert all(len(name) == 64 for name in names)


def test_operations_are_chosen_by_tag_name_or_place(made) -> None:
    paths = {
        "/a": {"get": {"operationId": "a", "tags": ["read"]}, "post": {"tags": ["write"]}},
        "/b": {"get": {"operationId": "b", "tags": ["read"]}},
    }

    def chosen(**wanted: set[str]) -> list[str]:
        options = OpenApiOptions(server="https://a.example", **wanted)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
        return [tool.name for tool in made(paths, options=options).tools]

    assert chosen() == ["a", "post_a", "b"]
    assert chosen(tags={"write"}) == ["post_a"]
    assert chosen(operations={"b", "POST /a"}) == ["post_a", "b"]
    with pytest.raises(InvalidDocumentError, match="no operation 'c'"):
        chosen(operations={"c"})


@pytest.mark.parametrize(
    "reference",
    [
        "https://evil.example/schema.json",
        "other.json#/A",
        "file:///etc/passwd",
        "#/components/schemas/Missing",
        "#anchor",
        "#/components/schemas/List/9999999999999999999",
    ],
)
def test_references_lead_to_the_same_document_or_nowhere(made, reference: str) -> None:
    body = {"content": {"application/json": {"schema": {"items": {"$ref": reference}}}}}
    paths = {"/a": {"post": {"requestBody": body}}, "/b": {"get": {}}}
    result = made(paths, components={"schemas": {"List": []}})
    assert [tool.name for tool in result.tools] == ["get_b"]
    assert "reference" in result.skipped[0].reason
    asked = OpenApiOptions(server="https://a.example", operations={"POST /a"})
    with pytest.raises(UnsupportedOperationError, match="cannot be a tool"):
        made(paths, options=asked)


def test_parameters_that_refer_in_a_circle_are_no_tool(made) -> None:
    circle = {
        "A": {"$ref": "#/components/parameters/B"},
        "B": {"$ref": "#/components/parameters/A"},
    }
    operation = {"parameters": [{"$ref": "#/components/parameters/A"}]}
    result = made({"/a": {"get": operation}}, components={"parameters": circle})
    assert "circle" in result.skipped[0].reason


@pytest.mark.parametrize(
    ("path", "operation", "why"),
    [
        ("/a/{id}", {}, "disagree about id"),
        ("/a", {"parameters": [{"name": "id", "in": "path", "required": True}]}, "disagree"),
        ("/a?b=c", {}, "not a path"),
        ("a", {}, "not a path"),
        ("/a", {"parameters": [{"name": "Host", "in": "header"}]}, "cannot be a header"),
        ("/a", {"parameters": [{"name": "x\r\ny", "in": "header"}]}, "cannot be a header"),
        ("/a", {"parameters": [{"name": "x", "in": "query", "style": "matrix"}]}, "style"),
        ("/a", {"parameters": [{"name": "x", "in": "body"}]}, "place"),
        ("/a", {"parameters": [{"name": f"p{n}", "in": "query"} for n in range(300)]}, "more than"),
        ("/a", {"requestBody": {"content": {}}}, "no content"),
        ("/a", {"servers": [{"url": "ftp://a.example"}]}, "no URL"),
        ("/a", {"servers": [{"url": "https://user:pass@a.example"}]}, "no URL"),
        ("/a", {"servers": [{"url": "https://a.example/?x=1"}]}, "query"),
        ("/a", {"servers": [{"url": "/v1"}]}, "relative"),
    ],
)
def test_an_operation_that_cannot_be_called_is_skipped_with_the_reason(
    made, path: str, operation: dict[str, Any], why: str
) -> None:
    servers = {"servers": [{"url": "https://a.example"}]}
    result = made({path: {"get": servers | operation}}, options=OpenApiOptions())
    assert result.tools == ()
    assert why in result.skipped[0].reason


def test_parameters_of_the_same_name_are_told_apart(made) -> None:
    parameters = [
        {"name": "id", "in": "path", "required": True},
        {"name": "id", "in": "query"},
        {"name": "filter[a]", "in": "query"},
        {"name": "body", "in": "query"},
    ]
    body = {"required": True, "content": {"application/json": {}}}
    (tool,) = made({"/{id}": {"post": {"parameters": parameters, "requestBody": body}}}).tools
    assert list(tool.parameters["properties"]) == [
        "id_in_path",
        "id_in_query",
        "filter_a_",
        "body_2",
        "body",
    ]
    assert tool.parameters["required"] == ["id_in_path", "body"]


def test_names_that_become_alike_are_numbered(made) -> None:
    names = ["Time", "Time<", "Time>", "Time_", "é" * 80, "è" * 80]
    parameters = [{"name": name, "in": "query"} for name in names]
    (tool,) = made({"/a": {"get": {"parameters": parameters}}}).tools
    arguments = list(tool.parameters["properties"])
    assert arguments[:4] == ["Time", "Time_", "Time__2", "Time__3"]
    assert len(set(arguments)) == 6
    assert max(map(len, arguments)) <= 64


def test_the_method_says_what_a_call_does(made) -> None:
    methods = ("get", "head", "options", "put", "delete", "post", "patch", "trace")
    result = made({"/a": {method: {"operationId": method} for method in methods}})
    assert {tool.name: tool.side_effect for tool in result.tools} == {
        "get": "read_only",
        "head": "read_only",
        "options": "read_only",
        "put": "idempotent",
        "delete": "idempotent",
        "post": "external",
        "patch": "external",
    }


def test_a_stream_without_end_is_no_tool(made) -> None:
    content = {"content": {"text/event-stream": {}, "application/problem+json": {}}}
    (skipped,) = made({"/a": {"get": {"responses": {"200": content}}}}).skipped
    assert "no end" in skipped.reason
