from __future__ import annotations

import base64
import os
import stat
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toka.tools import (
    FileAccessError,
    FileMissingError,
    InvalidArgumentsError,
    PathDeniedError,
    ToolRegistry,
    Workspace,
)
from toka.tools.builtin import _write_file as write_module
from toka.tools.builtin._read_file import whole_characters
from toka.tools.files import _replace as replace_module

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from toka.tools import ToolContext
    from toka.types import Json

    Call = Callable[..., object]

pytestmark = pytest.mark.anyio


@pytest.fixture
def call(registry: ToolRegistry, context_for: Callable[..., ToolContext]) -> Call:
    async def run(name: str, **arguments: Json) -> Mapping[str, Json]:
        result = await registry.call(name, arguments, context_for(idempotency_key="k"))
        assert result.ok
        assert result.duration_ns > 0
        return cast("Mapping[str, Json]", result.value)

    return run


def names_in(workspace: Workspace) -> list[str]:
    return [path.name for path in workspace.root.iterdir()]


async def test_what_is_written_is_read(call, workspace: Workspace) -> None:
    written = await call("write_file", path="a.txt", content="zwölf\r\n")
    assert written == {"path": f"{workspace.root}/a.txt", "bytes": 8, "created": True}
    read = await call("read_file", path="a.txt")
    assert read["content"] == "zwölf\r\n"
    assert (read["size"], read["truncated"], read["next_offset"]) == (8, False, None)


async def test_bytes_travel_as_base64(call, workspace: Workspace) -> None:
    data = bytes(range(256))
    content = base64.b64encode(data).decode()
    await call("write_file", path="b", content=content, encoding="base64")
    assert (workspace.root / "b").read_bytes() == data
    assert (await call("read_file", path="b", encoding="base64"))["content"] == content
    with pytest.raises(InvalidArgumentsError):
        await call("write_file", path="b", content="no base64!", encoding="base64")


async def test_bytes_that_are_no_text_are_replaced_and_said_so(call, workspace: Workspace) -> None:
    (workspace.root / "f").write_bytes(b"a\xffb")
    read = await call("read_file", path="f")
    assert (read["content"], read["replaced"]) == ("a\ufffdb", True)
    (workspace.root / "f").write_text("a\ufffdb")
    assert (await call("read_file", path="f"))["replaced"] is False


async def test_a_long_file_is_read_in_pieces_that_join(call, workspace: Workspace) -> None:
    text = "aé€😀" * 50
    (workspace.root / "f").write_text(text)
    pieces, offset = "", 0
    while offset is not None:
        read = await call("read_file", path="f", offset=offset, max_bytes=7)
        assert read["replaced"] is False
        pieces += read["content"]
        offset = read["next_offset"]
    assert pieces == text


@given(st.text(), st.integers(0, 40))
def test_cutting_at_characters_loses_less_than_one(text: str, length: int) -> None:
    data = text.encode()[:length]
    kept = whole_characters(data)
    assert data.startswith(kept)
    assert len(data) - len(kept) < 4
    assert text.startswith(kept.decode())


async def test_writing_replaces_at_once_and_keeps_the_mode(call, workspace: Workspace) -> None:
    path = workspace.root / "f"
    path.write_text("old")
    path.chmod(0o4640)
    with path.open() as reader:
        await call("write_file", path="f", content="new")
        assert reader.read() == "old"
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert names_in(workspace) == ["f"]


async def test_a_write_that_fails_leaves_the_old_file_and_no_other(
    call, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    (workspace.root / "f").write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(replace_module, "write_all", full)
    with pytest.raises(FileAccessError, match="No space left"):
        await call("write_file", path="f", content="new")
    assert (workspace.root / "f").read_text() == "old"
    assert names_in(workspace) == ["f"]


async def test_the_retry_after_a_crash_takes_away_what_the_crash_left(
    call, workspace: Workspace
) -> None:
    left = workspace.root / replace_module._temporary_name("f", "k")
    left.write_text("half")
    await call("write_file", path="f", content="whole")
    assert names_in(workspace) == ["f"]


async def test_an_append_that_fails_leaves_nothing_of_it(
    call, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    (workspace.root / "f").write_text("old")

    def half(descriptor: int, data: bytes) -> None:
        os.write(descriptor, data[:2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(write_module, "write_all", half)
    with pytest.raises(FileAccessError):
        await call("append_file", path="f", content="new")
    assert (workspace.root / "f").read_text() == "old"


async def test_appending_makes_and_lengthens(call, workspace: Workspace) -> None:
    first = await call("append_file", path="f", content="a")
    second = await call("append_file", path="f", content="bc")
    assert (first["created"], second["created"], second["size"]) == (True, False, 3)
    assert (workspace.root / "f").read_text() == "abc"


async def test_missing_directories_are_made_only_when_asked(call, workspace: Workspace) -> None:
    with pytest.raises(FileMissingError):
        await call("write_file", path="x/y/f", content="")
    await call("write_file", path="x/y/f", content="", create_parents=True)
    assert (workspace.root / "x/y/f").exists()


def test_missing_directories_are_part_of_what_is_asked_for(
    registry: ToolRegistry, workspace: Workspace
) -> None:
    arguments = {"path": "x/y/f", "content": "", "create_parents": True}
    base = f"fs:write:{workspace.root}/x"
    requests = registry.get("write_file").requests(arguments, workspace)
    assert requests == (base, f"{base}/y", f"{base}/y/f")


async def test_directories_outside_of_the_grant_are_not_made(
    registry: ToolRegistry, workspace: Workspace, context_for: Callable[..., ToolContext]
) -> None:
    context = context_for(f"fs:write:{workspace.root}/x/y/f")
    arguments = {"path": "x/y/f", "content": "", "create_parents": True}
    with pytest.raises(PathDeniedError):
        await registry.get("write_file").call(arguments, context)
    assert names_in(workspace) == []
