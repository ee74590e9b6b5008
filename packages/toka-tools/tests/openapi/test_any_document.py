"""Whatever stands where in a document: tools, or an error that says what is wrong."""

from __future__ import annotations

import copy
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import jsonschema
from hypothesis import given, settings
from hypothesis import strategies as st

from toka.tools import ToolError, ToolRegistry, Workspace
from toka.tools.openapi import InvalidDocumentError, OpenApiOptions, parse_openapi

A: dict[str, Any] = {"$ref": "#/components/schemas/A"}
DOCUMENT: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "T", "version": "1"},
    "servers": [{"url": "https://{h}.example/v1", "variables": {"h": {"default": "a"}}}],
    "security": [{"key": []}, {"basic": []}],
    "paths": {
        "/a/{id}": {
            "parameters": [
                {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
            ],
            "post": {
                "operationId": "a",
                "tags": ["t"],
                "summary": "S",
                "parameters": [
                    {"name": "q", "in": "query", "style": "deepObject", "schema": A},
                    {"name": "c", "in": "cookie", "content": {"application/json": {"schema": A}}},
                ],
                "requestBody": {
                    "required": True,
                    "content": {
                        "multipart/form-data": {
                            "schema": {"properties": {"f": {"type": "string", "format": "binary"}}},
                            "encoding": {"f": {"contentType": "image/png"}},
                        }
                    },
                },
                "responses": {"2XX": {"headers": {}, "content": {"*/*": {"schema": A}}}},
            },
        }
    },
    "components": {
        "schemas": {
            "A": {
                "type": ["object", "null"],
                "nullable": True,
                "properties": {"next": A, "n": {"type": "integer", "minimum": 1}},
                "required": ["n"],
                "allOf": [{"patternProperties": {"^x": {"enum": [1]}}}],
                "additionalProperties": {"pattern": "^a", "uniqueItems": True},
            }
        },
        "securitySchemes": {
            "key": {"type": "apiKey", "in": "query", "name": "k"},
            "basic": {"type": "http", "scheme": "basic"},
        },
    },
}


def _places(value: Any) -> list[tuple[str | int, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value)
    found: list[tuple[str | int, ...]] = []
    for key, item in items:
        found.append((key,))
        if isinstance(item, (dict, list)):
            found += [(key, *rest) for rest in _places(item)]
    return found


PLACES = _places(DOCUMENT)
ANYTHING: Any = st.one_of(
    st.sampled_from([None, True, 0, -1, 1.5, "", "x", [], {}, [[]], [{}], {"": {}}, {"x": None}]),
    st.sampled_from([A, {"$ref": "#/paths"}, {"$ref": 1}, {"$ref": "#/%"}, {"$ref": "#/info/~2"}]),
    st.sampled_from(["3.0.1", "get", "header", "object", "\0", "{id}", "https://[", "é" * 300]),
)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(st.sampled_from(PLACES), ANYTHING), min_size=1, max_size=3))
def test_any_document_makes_tools_or_says_why_not(changes: list[Any]) -> None:
    document = copy.deepcopy(DOCUMENT)
    for place, value in changes:
        holder: Any = document
        try:
            for key in place[:-1]:
                holder = holder[key]
            holder[place[-1]] = value
        except (KeyError, IndexError, TypeError):
            continue  # An earlier change took that place away.
    options = OpenApiOptions(security={"key": "mine"})
    try:
        made = parse_openapi(json.dumps(document).encode(), options)
    except InvalidDocumentError:
        return
    for tool in ToolRegistry.of(made.tools):
        jsonschema.Draft202012Validator.check_schema(tool.parameters)
        jsonschema.Draft202012Validator.check_schema(tool.result_schema)  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue] - ours have one
        for arguments in ({"id": "x", "body": {"f": "eA=="}, "q": {"n": 1}}, {}, {"id": ["a", {}]}):
            with suppress(ToolError):
                tool.requests(arguments, Workspace(Path("/")))
