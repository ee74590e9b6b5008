"""File attacks of the list: what a path leads to is what is granted and what is opened."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toka.capability.core import PermissionSet
from toka.tools import (
    AccessDeniedError,
    FileAccessError,
    PathChangedError,
    PathDeniedError,
    ToolContext,
    ToolError,
    ToolRegistry,
    Workspace,
    WrongFileTypeError,
    path_request,
)
from toka.tools.files._paths import open_parent, open_regular

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.anyio


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A secret beside the workspace, whose name begins like the workspace's."""
    place = tmp_path / "w-evil"
    place.mkdir()
    (place / "secret").write_text("secret")
    return place


FORMS = [
    "../w-evil/secret",
    "a/../../w-evil/secret",
    "./../w-evil/secret",
    "link/secret",
    "link/../w-evil/secret",
    "direct",
    "chain",
    "a/b/../../../w-evil/secret",
]


@pytest.mark.parametrize("form", FORMS)
async def test_dots_and_links_out_of_the_grant_are_refused(
    form: str,
    outside: Path,
    workspace: Workspace,
    registry: ToolRegistry,
    context_for: Callable[..., ToolContext],
) -> None:
    root = workspace.root
    (root / "a" / "b").mkdir(parents=True)
    (root / "link").symlink_to(outside)
    (root / "direct").symlink_to(outside / "secret")
    (root / "chain").symlink_to("direct")
    read = registry.get("read_file")
    assert read.requests({"path": form}, workspace) == (f"fs:read:{outside}/secret",)
    # Also with nobody asking before: the tool itself checks what it opens.
    with pytest.raises(PathDeniedError) as caught:
        await read.call({"path": form}, context_for())
    assert caught.value.code == "tools.path_denied"


async def test_an_absolute_path_outside_is_refused(
    outside: Path, registry: ToolRegistry, context_for: Callable[..., ToolContext]
) -> None:
    with pytest.raises(AccessDeniedError):
        await registry.call("read_file", {"path": str(outside / "secret")}, context_for())


async def test_a_tilde_is_a_name_like_any_other(
    workspace: Workspace, registry: ToolRegistry, context_for: Callable[..., ToolContext]
) -> None:
    assert path_request("read", "~/x", workspace) == f"fs:read:{workspace.root}/~/x"
    (workspace.root / "~").write_text("here")
    result = await registry.call("read_file", {"path": "~"}, context_for())
    assert isinstance(result.value, dict)
    assert result.value["content"] == "here"


@pytest.mark.parametrize("path", ["a\0b", "\ud800", "x" * 5_000, "é" * 300])
def test_a_path_that_no_permission_can_name_is_refused(path: str, workspace: Workspace) -> None:
    with pytest.raises(PathDeniedError):
        path_request("read", path, workspace)


@pytest.mark.parametrize(
    "path",
    [
        "/proc/self/environ",
        "/proc/self/mem",
        "//proc/self/environ",
        "/proc/self/fd/../environ",
        "/sys",
    ],
)
async def test_the_state_of_processes_is_no_file(
    path: str, registry: ToolRegistry, context_for: Callable[..., ToolContext]
) -> None:
    with pytest.raises(PathDeniedError):
        await registry.call("read_file", {"path": path}, context_for("fs:read:/**"))


async def test_devices_pipes_and_directories_are_not_opened(
    workspace: Workspace, registry: ToolRegistry, context_for: Callable[..., ToolContext]
) -> None:
    os.mkfifo(workspace.root / "pipe")
    (workspace.root / "directory").mkdir()
    for path in ("/dev/zero", "pipe", "directory", "directory/"):
        with pytest.raises(WrongFileTypeError):
            await registry.call("read_file", {"path": path}, context_for("fs:read:/**"))
    for path in ("pipe", "directory"):
        with pytest.raises(WrongFileTypeError):
            await registry.call(
                "write_file", {"path": path, "content": ""}, context_for("fs:*:/**")
            )


@pytest.mark.parametrize("name", ["read_file", "write_file", "append_file"])
async def test_protected_places_are_refused_whatever_is_granted(
    name: str, tmp_path: Path, registry: ToolRegistry
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "log").write_text("events")
    (tmp_path / "alias").symlink_to(data)
    workspace = Workspace(tmp_path, protected=(tmp_path / "alias",))
    context = ToolContext(workspace, PermissionSet.parse(["fs:*:/**"]))
    for path in ("data/log", "alias/log", "alias"):
        arguments = {"path": path} if name == "read_file" else {"path": path, "content": "x"}
        with pytest.raises(PathDeniedError, match="no file tool"):
            await registry.call(name, arguments, context)
    assert (data / "log").read_text() == "events"


async def test_a_write_through_a_dangling_link_needs_the_grant_of_its_target(
    outside: Path,
    workspace: Workspace,
    registry: ToolRegistry,
    context_for: Callable[..., ToolContext],
) -> None:
    (workspace.root / "dangling").symlink_to(outside / "new")
    write = registry.get("write_file")
    arguments = {"path": "dangling", "content": "x"}
    assert write.requests(arguments, workspace) == (f"fs:write:{outside}/new",)
    with pytest.raises(PathDeniedError):
        await write.call(arguments, context_for())
    assert not (outside / "new").exists()


async def test_writing_leaves_the_other_names_of_a_file_alone(
    outside: Path,
    workspace: Workspace,
    registry: ToolRegistry,
    context_for: Callable[..., ToolContext],
) -> None:
    (workspace.root / "twin").hardlink_to(outside / "secret")
    with pytest.raises(WrongFileTypeError, match="2 names"):
        await registry.call("append_file", {"path": "twin", "content": "x"}, context_for())
    await registry.call("write_file", {"path": "twin", "content": "mine"}, context_for())
    assert (outside / "secret").read_text() == "secret"
    assert (workspace.root / "twin").read_text() == "mine"


def test_a_link_swapped_in_for_a_directory_is_refused(outside: Path, workspace: Workspace) -> None:
    real = f"{workspace.root}/a/secret"
    (workspace.root / "a").symlink_to(outside)
    with pytest.raises(PathChangedError), open_parent(real):
        pass


def test_a_link_swapped_in_for_a_file_is_refused(outside: Path, workspace: Workspace) -> None:
    real = f"{workspace.root}/f"
    with open_parent(real) as (parent, name):
        (workspace.root / "f").symlink_to(outside / "secret")
        with pytest.raises(PathChangedError):
            open_regular(parent, name, real)


async def test_a_race_of_swaps_never_leaks(
    outside: Path,
    workspace: Workspace,
    registry: ToolRegistry,
    context_for: Callable[..., ToolContext],
) -> None:
    """A directory and a link to the outside change places all the time, for thousands of reads."""
    root = workspace.root
    (root / "real").mkdir()
    (root / "real" / "secret").write_text("public")
    (root / "other").symlink_to(outside)
    (root / "real").rename(root / "place")
    done = threading.Event()

    def swap() -> None:
        while not done.is_set():
            (root / "place").rename(root / "real")
            (root / "other").rename(root / "place")
            (root / "place").rename(root / "other")
            (root / "real").rename(root / "place")

    thread = threading.Thread(target=swap)
    thread.start()
    contents, refusals = set[object](), set[str]()
    read, context = registry.get("read_file"), context_for()
    try:
        for _ in range(1_500):
            try:
                result = await read.call({"path": "place/secret"}, context)
            except ToolError as error:
                refusals.add(error.code)
            else:
                assert isinstance(result.value, dict)
                contents.add(result.value["content"])
    finally:
        done.set()
        thread.join()
    assert contents == {"public"}
    assert refusals


SEGMENTS = st.sampled_from(["..", ".", "", "a", "b", "out", "self", "~", "a b", "é", "%2e%2e"])


@settings(max_examples=150, deadline=None)
@given(st.lists(SEGMENTS, min_size=1, max_size=8), st.booleans())
def test_no_form_of_a_path_opens_what_its_request_does_not_name(
    tmp_path_factory: pytest.TempPathFactory, segments: list[str], absolute: bool
) -> None:
    base = tmp_path_factory.getbasetemp() / "law"
    root = base / "w"
    if not base.exists():
        (root / "a" / "b").mkdir(parents=True)
        (base / "secret").mkdir()
        (root / "out").symlink_to("../secret")
        (root / "self").symlink_to(".")
    path = "/".join(segments) or "."
    if absolute:
        path = f"{root}/{path}"
    request = path_request("read", path, Workspace(root))
    real = os.path.realpath(root / path)
    granted = PermissionSet.parse([f"fs:read:{root}/**"]).covers(request) is not None
    assert granted == (real == str(root) or real.startswith(f"{root}/"))


async def test_a_file_system_refusal_is_an_error_of_its_own(
    workspace: Workspace, registry: ToolRegistry, context_for: Callable[..., ToolContext]
) -> None:
    (workspace.root / "f").write_text("")
    for path, code in [("none", "tools.file_missing"), ("f/x", "tools.wrong_file_type")]:
        with pytest.raises(FileAccessError) as caught:
            await registry.call("read_file", {"path": path}, context_for())
        assert caught.value.code == code
        assert str(workspace.root) in str(caught.value)
