"""Schemas of documents: their dialects, their circles, and those that are bombs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from toka.tools import InvalidArgumentsError, ToolRegistry

if TYPE_CHECKING:
    from collections.abc import Callable

    from toka.tools.openapi import OpenApiTool, OpenApiTools


@pytest.fixture
def with_body(made: Callable[..., OpenApiTools]):
    """Return a maker of a tool from the schema of its body."""

    def make(schema: Any, version: str = "3.1.0", **schemas: Any) -> OpenApiTool:
        body = {"content": {"application/json": {"schema": schema}}}
        result = made(
            {"/a": {"post": {"requestBody": body}}},
            version=version,
            components={"schemas": schemas},
        )
        assert result.skipped == ()
        return result.tools[0]

    return make


def body_of(tool: OpenApiTool) -> Any:
    jsonschema.Draft202012Validator.check_schema(tool.parameters)
    members: Any = tool.parameters["properties"]
    return members["body"]


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ({"type": "string", "nullable": True}, {"type": ["string", "null"]}),
        (
            {"type": "string", "enum": ["a"], "nullable": True},
            {"type": ["string", "null"], "enum": ["a", None]},
        ),
        (
            {"type": "integer", "minimum": 1, "exclusiveMinimum": True},
            {"type": "integer", "exclusiveMinimum": 1},
        ),
        (
            {"type": "integer", "maximum": 9, "exclusiveMaximum": False},
            {"type": "integer", "maximum": 9},
        ),
        ({"$ref": "#/components/schemas/A", "description": "ignored"}, {"$ref": "#/$defs/A"}),
        ({"type": "string", "example": "x"}, {"type": "string", "examples": ["x"]}),
        ({"type": "object", "discriminator": {}, "xml": {}, "x-a": 1}, {"type": "object"}),
    ],
)
def test_the_dialect_of_30_is_translated(with_body, said: Any, meant: Any) -> None:
    assert body_of(with_body(said, "3.0.3", A={})) == meant


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "file"},
        {"minimum": "1"},
        {"required": "a"},
        {"pattern": "("},
        {"multipleOf": 0},
        {"maxLength": -1},
        {"enum": 1},
        {"properties": []},
        {"allOf": []},
        {"uniqueItems": True},
        {"patternProperties": {"(": {}}},
        {"unevaluatedProperties": False},
        {"$dynamicRef": "#node"},
        {"$recursiveRef": "#"},
        {"pattern": "(?=.*[0-9])a"},
    ],
)
def test_what_cannot_be_enforced_is_left_out(with_body, wrong: Any) -> None:
    assert body_of(with_body(wrong)) in ({}, {"patternProperties": {}})


def test_names_that_stand_twice_count_once(with_body) -> None:
    schema = {"type": ["object", "null", "object"], "required": ["a", "b", "a"]}
    assert body_of(with_body(schema)) == {"type": ["object", "null"], "required": ["a", "b"]}


def test_members_that_only_answers_have_are_not_asked_for(with_body) -> None:
    members = {"id": {"type": "string", "readOnly": True}, "name": {"type": "string"}}
    schema = {"type": "object", "required": ["id", "name"], "properties": members}
    assert body_of(with_body(schema)) == {
        "type": "object",
        "required": ["name"],
        "properties": {"name": {"type": "string"}},
    }


def test_a_schema_may_hold_itself(with_body) -> None:
    tree = {
        "type": "object",
        "properties": {"children": {"items": {"$ref": "#/components/schemas/T"}}},
    }
    tool = with_body({"$ref": "#/components/schemas/T"}, T=tree)
    registry = ToolRegistry.of([tool])
    registry.validate(tool.name, {"body": {"children": [{"children": []}]}})
    with pytest.raises(InvalidArgumentsError, match=r"children\[0\]"):
        registry.validate(tool.name, {"body": {"children": [1]}})


def test_only_definitions_that_are_reached_come_along(with_body) -> None:
    tool = with_body(
        {"$ref": "#/components/schemas/A"},
        A={"items": {"$ref": "#/components/schemas/B"}},
        B={},
        C={},
    )
    assert set(tool.parameters["$defs"]) == {"A", "B"}


@pytest.mark.parametrize("name", ["type", "enum", "title", "const", "$ref", "properties", "items"])
def test_a_member_may_be_called_like_a_keyword(with_body, name: str) -> None:
    member = {"type": "object", "properties": {name: {"$ref": "#/components/schemas/A"}}}
    tool = with_body(member, A={"type": "string"})
    assert set(tool.parameters["$defs"]) == {"A"}
    registry = ToolRegistry.of([tool])
    registry.validate(tool.name, {"body": {name: "x"}})
    with pytest.raises(InvalidArgumentsError):
        registry.validate(tool.name, {"body": {name: 1}})


def test_a_chain_of_references_may_be_longer_than_the_stack(with_body) -> None:
    chain = {
        f"S{n}": {"properties": {"next": {"$ref": f"#/components/schemas/S{n + 1}"}}}
        for n in range(1_500)
    }
    tool = with_body({"$ref": "#/components/schemas/S0"}, **chain, S1500={})
    assert len(tool.parameters["$defs"]) == 1_501


def twice(keyword: str, member: str = "") -> dict[str, Any]:
    """Return forty definitions that each lead to the next one in two ways."""

    def both(number: int) -> list[Any]:
        one: Any = {"$ref": f"#/components/schemas/S{number + 1}"}
        one = {"properties": {member: one}} if member else one
        return [one, one]

    return {f"S{n}": {keyword: both(n)} for n in range(40)} | {"S40": {"type": "object"}}


NODE = {"$ref": "#/components/schemas/N"}


@pytest.mark.parametrize(
    ("bomb", "entry"),
    [
        (twice("allOf"), "S0"),
        (twice("anyOf"), "S0"),
        (twice("allOf", "a"), "S0"),
        ({"N": {"allOf": [{"properties": {"a": NODE}}, {"properties": {"a": NODE}}]}}, "N"),
        (
            {
                "N": {
                    "properties": {"a": NODE},
                    "additionalProperties": NODE,
                    "items": NODE,
                    "not": {"properties": {"a": NODE}},
                }
            },
            "N",
        ),
    ],
    ids=["all", "any", "members", "circle", "overlapping"],
)
def test_a_schema_that_costs_too_much_is_shown_and_not_enforced(with_body, bomb, entry) -> None:
    tool = with_body({"$ref": f"#/components/schemas/{entry}"}, **bomb)
    shown = body_of(tool)
    assert shown["x-unchecked"] == {"$ref": f"#/$defs/{entry}"}
    assert set(shown["x-definitions"]) == set(bomb)
    value: Any = {}
    for _ in range(50):
        value = {"a": value}
    started = time.process_time()
    ToolRegistry.of([tool]).validate(tool.name, {"body": value})
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    "schemas",
    [
        {"N": {"allOf": [NODE]}},
        {"N": NODE},
        {"N": {"anyOf": [{"not": NODE}]}},
        {f"S{n}": {"allOf": [{"$ref": f"#/components/schemas/S{n + 1}"}]} for n in range(2_000)}
        | {"N": {"$ref": "#/components/schemas/S0"}, "S2000": {}},
    ],
    ids=["all", "itself", "not", "on and on"],
)
def test_a_schema_that_never_ends_is_no_tool(made, schemas) -> None:
    body = {"content": {"application/json": {"schema": {"items": NODE}}}}
    paths = {"/a": {"post": {"requestBody": body}}}
    (skipped,) = made(paths, components={"schemas": schemas}).skipped
    assert "itself" in skipped.reason or "on and on" in skipped.reason


def test_common_recursion_stays_enforced(with_body) -> None:
    expression = {
        "oneOf": [
            {"type": "object", "properties": {name: {"items": NODE}}, "required": [name]}
            for name in ("and", "or")
        ]
        + [{"type": "string"}]
    }
    assert "x-unchecked" not in body_of(with_body({"type": "array", "items": NODE}, N=expression))


def test_parameters_too_long_for_a_model_are_no_tool(made) -> None:
    body = {"content": {"application/json": {"schema": {"enum": ["x" * 1_000] * 300}}}}
    (skipped,) = made({"/a": {"post": {"requestBody": body}}}).skipped
    assert "bytes" in skipped.reason
