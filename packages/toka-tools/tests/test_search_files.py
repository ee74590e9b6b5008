from __future__ import annotations

import time
from typing import TYPE_CHECKING, cast

import pytest

from toka.tools import InvalidArgumentsError, ToolTimeoutError
from toka.types import NANOSECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from toka.tools import ToolContext, ToolRegistry, Workspace
    from toka.types import Json

pytestmark = pytest.mark.anyio


@pytest.fixture
def call(registry: ToolRegistry, context_for: Callable[..., ToolContext]):
    async def run(context: ToolContext | None = None, **arguments: Json) -> Mapping[str, Json]:
        result = await registry.call("search_files", arguments, context or context_for())
        return cast("Mapping[str, Json]", result.value)

    return run


@pytest.fixture
def tree(workspace: Workspace) -> Workspace:
    root = workspace.root
    (root / "a.py").write_text("one\ntwo TODO three\r\n# todo (x)\n")
    (root / "b").mkdir()
    (root / "b" / "c.txt").write_text("TODO\nTODO TODO")
    (root / "image").write_bytes(b"\x89PNG\0TODO")
    return workspace


async def test_matches_have_file_line_column_and_text(call, tree: Workspace) -> None:
    value = await call(text="TODO")
    assert value["matches"] == [
        {"path": f"{tree.root}/a.py", "line": 2, "column": 5, "text": "two TODO three"},
        {"path": f"{tree.root}/b/c.txt", "line": 1, "column": 1, "text": "TODO"},
        {"path": f"{tree.root}/b/c.txt", "line": 2, "column": 1, "text": "TODO TODO"},
    ]
    assert (value["files_searched"], value["binary_files"], value["truncated"]) == (3, 1, False)


@pytest.mark.usefixtures("tree")
async def test_case_is_ignored_on_request_and_text_is_no_expression(call) -> None:
    found = await call(text="TODO (X)", ignore_case=True)
    assert [match["line"] for match in found["matches"]] == [3]


@pytest.mark.usefixtures("tree")
async def test_regular_expressions_match_within_a_line(call) -> None:
    found = await call(regex=r"\bt\w+$", pattern="**/*.py")
    assert [(match["line"], match["column"]) for match in found["matches"]] == []
    found = await call(regex=r"^t\w+|\(x\)")
    assert [(match["line"], match["column"]) for match in found["matches"]] == [(2, 1), (3, 8)]


@pytest.mark.parametrize("arguments", [{}, {"text": "a", "regex": "a"}, {"regex": "("}])
async def test_a_search_without_one_valid_pattern_is_refused(call, arguments) -> None:
    with pytest.raises(InvalidArgumentsError):
        await call(**arguments)


@pytest.mark.usefixtures("tree")
async def test_the_number_of_matches_is_limited_and_said(call) -> None:
    value = await call(text="TODO", max_matches=1)
    assert len(value["matches"]) == 1
    assert value["truncated"] is True


@pytest.mark.parametrize("regex", ["(a|aa)+$b", "(a+)+b", "((((a*)*)*)*)*b", "(a?){300}a{300}b"])
async def test_expressions_that_backtrack_for_ever_elsewhere_end_at_once(
    call, workspace: Workspace, regex: str
) -> None:
    (workspace.root / "f").write_text("a" * 10_000)
    before = time.process_time()
    assert (await call(regex=regex))["matches"] == []
    assert time.process_time() - before < 1


@pytest.mark.parametrize(
    "regex", ["(?:(?:a{1000}){1000}){1000}", "(a{1,60000}){1,60000}", "(?=a)", r"(a)\1", "("]
)
async def test_expressions_that_cannot_be_bounded_are_refused(call, regex: str) -> None:
    with pytest.raises(InvalidArgumentsError, match="RE2"):
        await call(regex=regex)


async def test_a_search_stops_when_its_time_is_up(
    call, workspace: Workspace, context_for: Callable[..., ToolContext]
) -> None:
    (workspace.root / "f").write_text("a\n" * 1_000_000)
    with pytest.raises(ToolTimeoutError):
        await call(context_for(timeout_ns=NANOSECONDS // 10), regex="b")


async def test_files_outside_of_the_grant_are_not_searched(
    call, tree: Workspace, context_for: Callable[..., ToolContext]
) -> None:
    root = tree.root
    granted = (f"fs:read:{root}", f"fs:read:{root}/b/**", f"fs:read:{root}/image")
    value = await call(context_for(*granted), text="TODO")
    assert {match["path"] for match in value["matches"]} == {f"{root}/b/c.txt"}
    assert value["skipped"] == [{"path": f"{root}/a.py", "reason": "outside what is granted"}]


async def test_long_lines_are_shown_in_part(call, workspace: Workspace) -> None:
    (workspace.root / "f").write_text("x" * 2_000)
    value = await call(text="xx")
    assert len(value["matches"][0]["text"]) == 500
