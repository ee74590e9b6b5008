from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toka.capability.core import PermissionSet
from toka.tools import (
    InvalidArgumentsError,
    PathDeniedError,
    ToolContext,
    ToolRegistry,
    ToolTimeoutError,
    Workspace,
    WrongFileTypeError,
)
from toka.tools.files._glob import PathPattern

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from toka.types import Json

pytestmark = pytest.mark.anyio


@pytest.fixture
def call(registry: ToolRegistry, context_for: Callable[..., ToolContext]):
    async def run(context: ToolContext | None = None, **arguments: Json) -> Mapping[str, Json]:
        result = await registry.call("list_files", arguments, context or context_for())
        return cast("Mapping[str, Json]", result.value)

    return run


@pytest.fixture
def tree(workspace: Workspace) -> Workspace:
    root = workspace.root
    for name in ("b.py", "a/c.py", "a/d/e.py", "a/d/f.txt", ".git/config", ".env", "B"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x" * 3)
    (root / "a" / "up").symlink_to("..")
    return workspace


def names(value: Mapping[str, Json], root: object) -> list[str]:
    entries = cast("list[dict[str, str]]", value["entries"])
    return [entry["path"].removeprefix(f"{root}/") for entry in entries]


async def test_entries_are_sorted_absolute_and_complete(call, tree: Workspace) -> None:
    value = await call()
    wanted = ["B", "a", "a/c.py", "a/d", "a/d/e.py", "a/d/f.txt", "a/up", "b.py"]
    assert names(value, tree.root) == wanted
    assert [entry["type"] for entry in value["entries"][:3]] == ["file", "directory", "file"]
    entry = value["entries"][2]
    assert entry["path"] == f"{tree.root}/a/c.py"
    assert (entry["name"], entry["size"]) == ("c.py", 3)
    assert abs(entry["modified"] - time.time()) < 60
    assert (value["truncated"], value["skipped"]) == (False, [])


async def test_links_are_listed_and_not_followed(call, tree: Workspace) -> None:
    value = await call(types=["link"])
    assert names(value, tree.root) == ["a/up"]


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        ("**/*.py", ["a/c.py", "a/d/e.py", "b.py"]),
        ("*.py", ["b.py"]),
        ("a/*", ["a/c.py", "a/d", "a/up"]),
        ("a/**", ["a", "a/c.py", "a/d", "a/d/e.py", "a/d/f.txt", "a/up"]),
        ("**/d/*.[pt]*", ["a/d/e.py", "a/d/f.txt"]),
        ("**/?.txt", ["a/d/f.txt"]),
        ("nothing", []),
    ],
)
async def test_patterns_select(call, tree: Workspace, pattern: str, wanted: list[str]) -> None:
    assert names(await call(pattern=pattern), tree.root) == wanted


@pytest.mark.parametrize("pattern", ["../*", "/etc/*", "a//b", ""])
async def test_patterns_that_leave_the_directory_are_refused(call, pattern: str) -> None:
    with pytest.raises(InvalidArgumentsError):
        await call(pattern=pattern)


async def test_hidden_and_ignored_names_appear_when_asked_for(call, tree: Workspace) -> None:
    assert names(await call(hidden=True, pattern="*", types=["file"]), tree.root) == [
        ".env",
        "B",
        "b.py",
    ]
    value = await call(hidden=True, ignore=[], pattern=".git/*")
    assert names(value, tree.root) == [".git/config"]
    assert names(await call(ignore=["d", "*.py"]), tree.root) == ["B", "a", "a/up"]


async def test_the_number_of_entries_is_limited_and_said(call, tree: Workspace) -> None:
    value = await call(max_entries=2)
    assert names(value, tree.root) == ["B", "a"]
    assert value["truncated"] is True


@pytest.mark.usefixtures("tree")
async def test_the_size_of_the_result_is_limited(
    call, context_for: Callable[..., ToolContext]
) -> None:
    value = await call(context_for(output_limit_bytes=500))
    assert value["truncated"] is True
    assert 0 < len(value["entries"]) < 8


async def test_directories_outside_of_the_grant_are_skipped_and_said(
    call, tree: Workspace, context_for: Callable[..., ToolContext]
) -> None:
    root = tree.root
    value = await call(context_for(f"fs:read:{root}", f"fs:read:{root}/a/*"), path=".")
    assert value["skipped"] == [{"path": f"{root}/a", "reason": "outside what is granted"}]
    assert "a/c.py" not in names(value, root)


async def test_the_directory_itself_must_be_granted(
    tree: Workspace, context_for: Callable[..., ToolContext], registry: ToolRegistry
) -> None:
    context = context_for(f"fs:read:{tree.root}/a/**")
    with pytest.raises(PathDeniedError):
        await registry.get("list_files").call({}, context)


async def test_names_that_are_no_utf8_are_skipped_and_said(call, workspace: Workspace) -> None:
    os.close(os.open(os.fsencode(workspace.root) + b"/\xff", os.O_CREAT))
    (workspace.root / "ok").write_text("")
    value = await call()
    assert names(value, workspace.root) == ["ok"]
    assert value["skipped"] == [
        {"path": f"{workspace.root}/\\xff", "reason": "the name is not UTF-8"}
    ]


async def test_a_directory_that_vanishes_or_is_swapped_is_skipped(
    call, tree: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def swapped(path, flags, *rest, **more) -> int:
        if path == "d" and more.get("dir_fd") is not None and (tree.root / "a/d").is_dir():
            (tree.root / "a/d").rename(tree.root / "gone")
            (tree.root / "a/d").symlink_to("/etc")
        return real(path, flags, *rest, **more)

    monkeypatch.setattr(os, "open", swapped)
    value = await call(path="a")
    assert [entry["name"] for entry in value["entries"]] == ["c.py", "d", "up"]
    assert "symbolic link" in value["skipped"][0]["reason"]


@pytest.mark.usefixtures("tree")
async def test_a_file_is_no_directory(call) -> None:
    with pytest.raises(WrongFileTypeError):
        await call(path="b.py")


async def test_a_tree_deeper_than_the_limit_ends_with_a_word_about_it(
    call, workspace: Workspace
) -> None:
    (workspace.root / "/".join("d" * 140)).mkdir(parents=True)
    value = await call()
    assert len(value["entries"]) == 128
    assert "128 directories deep" in value["skipped"][0]["reason"]


async def test_ten_thousand_files_are_listed_quickly(workspace: Workspace, registry) -> None:
    for directory in range(100):
        place = workspace.root / f"{directory:02}"
        place.mkdir()
        for number in range(100):
            os.close(os.open(place / f"{number:02}.py", os.O_CREAT | os.O_WRONLY))
    context = ToolContext(workspace, PermissionSet.parse([f"fs:read:{workspace.root}/**"]))
    before = time.process_time()
    result = await registry.call("list_files", {"pattern": "**/*.py"}, context)
    spent = time.process_time() - before
    assert len(result.value["entries"]) == 10_000
    assert spent < 0.3


@pytest.mark.usefixtures("tree")
async def test_a_walk_stops_when_its_time_is_up(
    call, context_for: Callable[..., ToolContext]
) -> None:
    with pytest.raises(ToolTimeoutError):
        await call(context_for(timeout_ns=1))


PARTS = st.lists(st.sampled_from(["a", "b", "ab", "c"]), max_size=6)
GLOBS = st.lists(st.sampled_from(["a", "*", "**", "a*", "?", "[ab]"]), min_size=1, max_size=6)


def _naive(pattern: list[str], names: list[str]) -> bool:
    """Match by trying everything: the meaning, without the cleverness."""
    if not pattern:
        return not names
    if pattern[0] == "**":
        return any(_naive(pattern[1:], names[start:]) for start in range(len(names) + 1))
    return bool(names) and _one(pattern[0], names[0]) and _naive(pattern[1:], names[1:])


def _one(glob: str, name: str) -> bool:
    meanings = {
        "*": True,
        "a": name == "a",
        "a*": name.startswith("a"),
        "?": len(name) == 1,
        "[ab]": name in ("a", "b"),
    }
    return meanings[glob]


@given(GLOBS, PARTS)
def test_matching_agrees_with_its_meaning(pattern: list[str], names: list[str]) -> None:
    assert PathPattern("/".join(pattern)).matches(names) == _naive(pattern, names)
