from __future__ import annotations

import importlib.metadata
import json
from typing import TYPE_CHECKING

import pytest

from toka.tools import (
    AccessDeniedError,
    AlreadyRegisteredError,
    InvalidArgumentsError,
    InvalidToolError,
    ToolRegistry,
    UnknownToolError,
    effect_of,
    installed_tools,
    load_installed,
    tool,
)
from toka.tools._typed import TypedTool
from toka.tools.builtin._read_file import ReadFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from toka.tools import ToolContext
    from toka.types import Json, JsonObject

pytestmark = pytest.mark.anyio

BUILTIN = (
    "append_file",
    "ask_person",
    "edit_file",
    "fetch_page",
    "git_diff",
    "git_log",
    "git_status",
    "http_request",
    "list_files",
    "query_sqlite",
    "read_file",
    "recall_note",
    "run_command",
    "run_python",
    "search_files",
    "store_note",
    "validate_build",
    "validate_dates",
    "wait",
    "write_file",
)


@tool(side_effect="none", taints=False)
async def echo(text: str) -> str:
    """Return the text."""
    return text


def test_names_of_the_builtin_tools_are_sorted(registry: ToolRegistry) -> None:
    assert registry.names() == BUILTIN
    assert [each.name for each in registry] == list(BUILTIN)


def test_every_builtin_tool_describes_itself(registry: ToolRegistry) -> None:
    for each in registry:
        assert each.description
        assert each.version
        assert each.parameters["type"] == "object"
        assert each.parameters["additionalProperties"] is False
        json.dumps(each.parameters)


def test_a_second_tool_of_the_same_name_is_refused() -> None:
    registry = ToolRegistry.of([echo])
    with pytest.raises(AlreadyRegisteredError) as caught:
        registry.register(echo)
    assert caught.value.code == "tools.already_registered"


@pytest.mark.parametrize("name", ["Echo", "a b", "é", "x" * 65, "a.b"])
def test_a_name_that_is_no_identifier_is_refused(name: str) -> None:
    async def body() -> None: ...

    with pytest.raises(InvalidToolError):
        ToolRegistry.of([tool(side_effect="none", name=name)(body)])


def test_an_unknown_tool_is_answered_with_the_nearest_name(registry: ToolRegistry) -> None:
    with pytest.raises(UnknownToolError, match="Did you mean 'read_file'") as caught:
        registry.get("readfile")
    assert caught.value.code == "tools.unknown_tool"


@pytest.mark.parametrize(
    ("arguments", "place", "remedy"),
    [
        ({}, "$", "Pass path"),
        ({"path": 3}, "$.path", "type string"),
        ({"path": "a", "ofset": 1}, "$", "Did you mean 'offset'"),
        ({"path": "a", "offset": -1}, "$.offset", ""),
        ({"path": "a", "encoding": "utf-7"}, "$.encoding", "utf-8"),
    ],
)
def test_wrong_arguments_are_answered_with_place_and_remedy(
    registry: ToolRegistry, arguments: dict[str, Json], place: str, remedy: str
) -> None:
    with pytest.raises(InvalidArgumentsError) as caught:
        registry.validate("read_file", arguments)
    assert caught.value.details["path"] == place
    assert remedy in str(caught.value)


def test_arguments_as_json_text_are_parsed(registry: ToolRegistry) -> None:
    assert registry.validate("read_file", '{"path": "a"}') == {"path": "a"}


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"path": NaN}', b"\xff"])
def test_text_that_is_no_json_object_is_refused(registry: ToolRegistry, text: str | bytes) -> None:
    with pytest.raises(InvalidArgumentsError):
        registry.validate("read_file", text)


def test_arguments_that_are_too_long_or_deep_are_refused(registry: ToolRegistry) -> None:
    with pytest.raises(InvalidArgumentsError, match="longer"):
        registry.validate("read_file", " " * (4 << 20) + "{}")
    deep: Json = "x"
    for _ in range(70):
        deep = {"a": deep}
    with pytest.raises(InvalidArgumentsError, match="nested"):
        registry.validate("read_file", {"path": deep})
    with pytest.raises(InvalidArgumentsError):
        registry.validate("read_file", '{"path":' + "[" * 100_000)


async def test_a_call_without_the_grant_does_nothing(
    registry: ToolRegistry, context_for: Callable[..., ToolContext], tmp_path: Path
) -> None:
    context = context_for("fs:read:/nowhere")
    with pytest.raises(AccessDeniedError) as caught:
        await registry.call("write_file", {"path": "x", "content": "y"}, context)
    assert caught.value.details["request"] == f"fs:write:{tmp_path}/w/x"
    assert not (tmp_path / "w" / "x").exists()


@pytest.mark.parametrize(
    ("name", "arguments", "effect"),
    [
        ("read_file", {}, "read_only"),
        ("write_file", {}, "idempotent"),
        ("append_file", {}, "external"),
        ("run_command", {}, "external"),
        ("run_command", {"effect": "read_only"}, "read_only"),
        ("http_request", {}, "read_only"),
        ("http_request", {"method": "PUT"}, "idempotent"),
        ("http_request", {"method": "POST"}, "external"),
    ],
)
def test_the_effect_of_a_call_depends_on_its_arguments(
    registry: ToolRegistry, name: str, arguments: dict[str, Json], effect: str
) -> None:
    assert effect_of(registry.get(name), arguments) == effect


class _Entries:
    """Stands in for what installed distributions offer."""

    def __init__(self, *entries: importlib.metadata.EntryPoint) -> None:
        self._entries = entries

    def __call__(self, *, group: str) -> tuple[importlib.metadata.EntryPoint, ...]:
        assert group == "toka.tools"
        return self._entries


def _entry(name: str, value: str) -> importlib.metadata.EntryPoint:
    return importlib.metadata.EntryPoint(name, value, "toka.tools")


def test_installed_tools_are_listed_without_importing_them(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = _Entries(_entry("b", "no.such.module:Tool"), _entry("a", "neither.this:Tool"))
    monkeypatch.setattr(importlib.metadata, "entry_points", entries)
    assert list(installed_tools()) == ["a", "b"]


def test_an_installed_tool_is_loaded_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = _Entries(_entry("reader", "toka.tools.builtin._read_file:ReadFile"))
    monkeypatch.setattr(importlib.metadata, "entry_points", entries)
    registry = ToolRegistry()
    registry.register_installed("reader")
    assert registry.names() == ("read_file",)


def test_a_missing_double_or_wrong_entry_point_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    double = _entry("two", "toka.tools.builtin._read_file:ReadFile")
    entries = _Entries(double, double, _entry("wrong", "json:dumps"))
    monkeypatch.setattr(importlib.metadata, "entry_points", entries)
    with pytest.raises(UnknownToolError, match="Did you mean 'wrong'"):
        load_installed("wrnog")
    with pytest.raises(UnknownToolError, match="Several"):
        load_installed("two")
    with pytest.raises(InvalidToolError):
        load_installed("wrong")


def test_a_schema_that_refers_outside_itself_is_refused_without_fetching() -> None:
    registry = ToolRegistry.of([_Foreign({"$ref": "http://127.0.0.1:9/schema"})])
    with pytest.raises(InvalidToolError, match="refers"):
        registry.validate("foreign", {})


def test_a_schema_that_is_none_is_refused() -> None:
    registry = ToolRegistry.of([_Foreign({"type": "nonsense"})])
    with pytest.raises(InvalidToolError, match="not JSON Schema"):
        registry.validate("foreign", {})


class _Foreign(ReadFile):
    """A tool with a schema of somebody else."""

    name = "foreign"

    def __init__(self, schema: JsonObject) -> None:
        self._schema = schema

    @property
    def parameters(self) -> JsonObject:
        return self._schema


def test_every_built_in_tool_says_what_its_calls_may_request() -> None:
    actions = {
        tool.name: tool.actions for tool in ToolRegistry.builtin() if isinstance(tool, TypedTool)
    }
    assert actions["read_file"] == ("fs:read",)
    assert actions["write_file"] == ("fs:write",)
    assert actions["run_command"] == ("proc:run",)
    assert "net:post" in actions["http_request"]
    assert [name for name, needed in actions.items() if not needed] == ["wait"]
    assert set(actions) == set(ToolRegistry.builtin().names())
