from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import toka.tools.mcp
import toka.tools.mcp.server
from toka.tools.mcp import ProtocolError
from toka.tools.mcp._header_values import (
    check_header_values,
    decode_value,
    encode_value,
    header_parameters,
    header_values,
)
from toka.tools.mcp._messages import (
    ErrorObject,
    decode,
    encode_error,
    encode_request,
    encode_result,
)
from toka.tools.mcp.server._catalogue import page_of

if TYPE_CHECKING:
    from types import ModuleType

    from toka.types import JsonObject


@pytest.mark.parametrize("module", [toka.tools.mcp, toka.tools.mcp.server])
def test_all_lists_exactly_the_imported_names(module: ModuleType) -> None:
    tree = ast.parse(Path(str(module.__file__)).read_text())
    imported = [
        alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names
    ]
    assert sorted(module.__all__) == sorted(imported)
    assert list(module.__all__) == sorted(module.__all__)


@given(st.text())
def test_any_text_comes_back_out_of_a_header(text: str) -> None:
    value = encode_value(text)
    assert value.isascii()
    assert value == value.strip()
    assert value.isprintable()
    assert decode_value(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("us-west1", "us-west1"),
        ("=?base64?SGVsbG8sIOS4lueVjA==?=", "Hello, 世界"),
        ("=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?=", "=?base64?literal?="),
        ("=?base64?SGVsbG8?=", None),
        ("=?base64?SGVs!!!bG8=?=", None),
        ("=?base64?SGVsbG9=?=", None),
        ("=?base64?/w==?=", None),
        ("=?BASE64?SGVsbG8=?=", "=?BASE64?SGVsbG8=?="),
    ],
)
def test_a_wrapped_value_has_one_spelling(value: str, text: str | None) -> None:
    assert decode_value(value) == text


def annotated(kind: object = "string", header: object = "Region") -> JsonObject:
    return {"type": "object", "properties": {"a": {"type": kind, "x-mcp-header": header}}}  # type: ignore[dict-item] # pyright: ignore[reportReturnType] - wrong on purpose


@pytest.mark.parametrize(
    "schema",
    [
        annotated(header="two words"),
        annotated(header=""),
        annotated(header=7),
        annotated(kind="number"),
        annotated(kind=["string"]),
        {"x-mcp-header": "Root"},
        {"items": {"x-mcp-header": "Item", "type": "string"}},
        {"anyOf": [{"properties": {"a": {"x-mcp-header": "Any", "type": "string"}}}]},
        {"$defs": {"a": {"x-mcp-header": "Any", "type": "string"}}},
        {
            "properties": {
                "a": {"type": "string", "x-mcp-header": "Same"},
                "b": {"type": "string", "x-mcp-header": "same"},
            }
        },
    ],
)
def test_an_annotation_that_is_not_allowed_is_refused(schema: JsonObject) -> None:
    with pytest.raises(ProtocolError):
        header_parameters(schema)


def test_nested_arguments_are_said_in_headers_and_integers_compared_as_numbers() -> None:
    schema: JsonObject = {
        "properties": {
            "a": {"type": "integer", "x-mcp-header": "A"},
            "b": {"properties": {"c": {"type": "boolean", "x-mcp-header": "C"}}},
        },
        "default": {"x-mcp-header": "data, not a schema"},
    }
    parameters = header_parameters(schema)
    arguments: JsonObject = {"a": 42, "b": {"c": True}}
    made = header_values(parameters, arguments)
    assert made == {"Mcp-Param-A": "42", "Mcp-Param-C": "true"}
    check_header_values(parameters, arguments, {**made, "Mcp-Param-A": "42.0"})
    for wrong in ({}, {**made, "Mcp-Param-A": "43"}, {**made, "Mcp-Param-C": "True"}):
        with pytest.raises(ProtocolError):
            check_header_values(parameters, arguments, wrong)
    with pytest.raises(ProtocolError):
        check_header_values(parameters, {}, made)
    check_header_values(parameters, {"a": None}, {})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(st.integers(-(2**53), 2**53) | st.text(max_size=64), st.dictionaries(st.text(), json_values))
def test_what_is_encoded_is_decoded(request_id: int | str, content: dict[str, object]) -> None:
    asked = decode(encode_request(request_id, "m", content))  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - JSON
    assert (asked.id, asked.method, asked.params) == (request_id, "m", content)
    assert asked.is_request
    answered = decode(encode_result(request_id, content))  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - JSON
    assert (answered.id, answered.result) == (request_id, content)
    assert answered.is_response


@given(st.binary() | json_values.map(lambda value: json.dumps(value).encode()))
def test_bytes_are_a_message_or_an_error(data: bytes) -> None:
    numbers: list[int] = []
    try:
        message = decode(data)
    except ProtocolError as error:
        numbers.append(error.number)
    else:
        assert message.is_request + message.is_notification + message.is_response == 1
    assert numbers in ([], [-32700], [-32600])


def test_an_error_without_a_request_has_no_id() -> None:
    assert b'"id"' not in encode_error(None, ErrorObject(-32600, "no"))
    found = decode(encode_error(None, ErrorObject(-32600, "no", None)))
    assert isinstance(found.error, ErrorObject)
    assert (found.id, found.error.data) == (msgspec.UNSET, None)


@given(st.sets(st.text(min_size=1)), st.integers(1, 5))
def test_pages_hold_everything_once_and_in_order(names: set[str], size: int) -> None:
    items: list[JsonObject] = [{"name": name} for name in names]
    seen: list[str] = []
    cursor: str | None = None
    for _ in range(len(names) + 1):
        page = page_of(items, "name", cursor, size)
        seen += [str(each["name"]) for each in page.items]
        cursor = page.cursor
        if cursor is None:
            break
    assert seen == sorted(names)
