from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pytest

from toka.tools import (
    InvalidArgumentsError,
    InvalidToolError,
    Tool,
    ToolContext,
    ToolError,
    ToolRegistry,
    ToolResult,
    path_request,
    tool,
)

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio


@tool(side_effect="none", taints=False)
async def describe(
    name: str,
    size: int = 1,
    *,
    kind: Literal["a", "b"] = "a",
    tags: list[str] | None = None,
    more: dict[str, float] | None = None,
) -> dict[str, object]:
    """Describe a thing.

    This is not for a model.
    """
    return {"name": name, "size": size, "kind": kind, "tags": tags or [], "more": more or {}}


def test_the_signature_is_the_schema() -> None:
    assert (describe.name, describe.description) == ("describe", "Describe a thing.")
    schema = describe.parameters
    assert schema["required"] == ["name"]
    assert schema["additionalProperties"] is False
    properties = schema["properties"]
    assert isinstance(properties, dict)
    assert properties["size"] == {"type": "integer", "default": 1}
    assert properties["kind"] == {"enum": ["a", "b"], "default": "a"}


async def test_a_function_is_called_with_decoded_arguments(
    context_for: Callable[..., ToolContext],
) -> None:
    registry = ToolRegistry.of([describe])
    arguments = {"name": "x", "tags": ["t"], "more": {"a": 1}}
    result = await registry.call("describe", arguments, context_for())
    assert result.value == {"name": "x", "size": 1, "kind": "a", "tags": ["t"], "more": {"a": 1.0}}
    assert result.ok


async def test_wrong_arguments_are_refused_with_and_without_the_registry(
    context_for: Callable[..., ToolContext],
) -> None:
    for arguments in ({}, {"name": 1}, {"name": "x", "nmae": "y"}, {"name": "x", "kind": "c"}):
        with pytest.raises(InvalidArgumentsError):
            ToolRegistry.of([describe]).validate("describe", arguments)
        with pytest.raises(InvalidArgumentsError):
            await describe.call(arguments, context_for())


async def test_the_context_is_handed_over_on_request(
    context_for: Callable[..., ToolContext],
) -> None:
    @tool(
        side_effect="read_only",
        honours_idempotency_key=True,
        requests=lambda arguments, workspace: [
            path_request("read", str(arguments["path"]), workspace)
        ],
    )
    async def keyed(context: ToolContext, path: str) -> str:
        return f"{context.idempotency_key}:{path}"

    context = context_for(idempotency_key="k")
    root = context.workspace.root
    assert keyed.requests({"path": "a/../b"}, context.workspace) == (f"fs:read:{root}/b",)
    assert "context" not in str(keyed.parameters)
    assert (await keyed.call({"path": "p"}, context)).value == "k:p"


async def test_a_result_that_is_no_json_is_an_error(
    context_for: Callable[..., ToolContext],
) -> None:
    @tool(side_effect="none")
    async def strange() -> object:
        return object()

    with pytest.raises(ToolError) as caught:
        await strange.call({}, context_for())
    assert caught.value.code == "tools.invalid_result"


def test_functions_that_cannot_be_tools_are_refused() -> None:
    make = tool(side_effect="none")

    def not_async() -> None: ...
    async def bare(x) -> None: ...
    async def many(*x: int) -> None: ...
    async def odd(x: object, y: complex) -> None: ...
    async def unknown(x: Nowhere) -> None: ...  # noqa: F821 # pyright: ignore[reportUndefinedVariable, reportUnknownParameterType]

    for body in (not_async, bare, many, odd, unknown):
        with pytest.raises(InvalidToolError):
            make(body)  # pyright: ignore[reportArgumentType, reportUnknownArgumentType]


def test_a_failure_is_recorded_in_the_terms_of_its_error() -> None:
    record = ToolResult.failed(InvalidArgumentsError("No.", hint="Yes.", details={"a": 1}), 7)
    assert not record.ok
    assert record.error is not None
    assert (record.error.code, record.error.message) == ("tools.invalid_arguments", "No. Yes.")
    assert (record.error.details, record.error.transient, record.duration_ns) == (
        {"a": 1},
        False,
        7,
    )


def test_a_result_is_never_both() -> None:
    failure = ToolResult.failed(ToolError("No.")).error
    with pytest.raises(ValueError, match="never both"):
        ToolResult("value", failure)


def test_tools_satisfy_the_protocol() -> None:
    each: Tool
    for each in (describe, *ToolRegistry.builtin()):
        assert isinstance(each.name, str)
