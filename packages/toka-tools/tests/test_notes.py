"""Notes: kept under names that permissions tell apart."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, cast

import anyio
import pytest

from toka.tools import (
    AccessDeniedError,
    FileNotes,
    InvalidArgumentsError,
    MemoryNotes,
    Note,
    Notes,
    NotesError,
    ToolContext,
    Workspace,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from toka.tools import ToolRegistry
    from toka.types import Json

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["memory", "file"])
def notes(request: pytest.FixtureRequest, tmp_path) -> Notes:
    return (
        MemoryNotes(most=3) if request.param == "memory" else FileNotes(tmp_path / "n.db", most=3)
    )


@pytest.fixture
def call(registry: ToolRegistry, context_for: Callable[..., ToolContext], notes):
    async def run(tool: str, name: str, *permissions: str, **arguments: Json) -> Mapping[str, Json]:
        context = context_for(*(permissions or ("note:*:**",)), notes=notes)
        result = await registry.call(tool, {"name": name, **arguments}, context)
        return cast("Mapping[str, Json]", result.value)

    return run


async def test_what_is_stored_is_recalled(call) -> None:
    stored = await call("store_note", "agents/ada/todo", text="gr\u00fcn")
    assert stored == {"name": "agents/ada/todo", "bytes": 5, "created": True}
    again = await call("store_note", "agents/ada/todo", text="rot")
    assert again["created"] is False
    value = await call("recall_note", "agents/ada/todo")
    assert (value["found"], value["text"], value["below"]) == (True, "rot", [])
    assert value["stored_at"].endswith("+00:00")


async def test_what_is_not_there_is_a_result(call) -> None:
    value = await call("recall_note", "nothing")
    assert (value["found"], value["text"], value["stored_at"]) == (False, None, None)


async def test_a_note_is_forgotten(call) -> None:
    await call("store_note", "a", text="x")
    assert (await call("store_note", "a", text=None))["forgotten"] is True
    assert (await call("store_note", "a", text=None))["forgotten"] is False
    assert (await call("recall_note", "a"))["found"] is False


async def test_names_below_are_those_that_are_granted(call) -> None:
    for name in ("agents/ada/x", "agents/adam/x", "agents/bob/x"):
        await call("store_note", name, text="x")
    assert (await call("recall_note", "agents"))["below"] == [
        "agents/ada/x", "agents/adam/x", "agents/bob/x"
    ]  # fmt: skip
    assert (await call("recall_note", "agents/ada"))["below"] == ["agents/ada/x"]
    granted = ("note:read:agents", "note:read:agents/bob/**")
    assert (await call("recall_note", "agents", *granted))["below"] == ["agents/bob/x"]


async def test_each_agent_has_its_own_by_its_permissions(call, registry, workspace) -> None:
    own = "note:*:agents/ada/**"
    await call("store_note", "agents/ada/x", own, text="x")
    for name in ("agents/bob/x", "agents/adam", "other"):
        with pytest.raises(AccessDeniedError):
            await call("store_note", name, own, text="x")
        with pytest.raises(AccessDeniedError):
            await call("recall_note", name, own)
    with pytest.raises(AccessDeniedError):
        await call("store_note", "agents/ada/x", "note:read:**", text="x")
    needs = registry.get("store_note").requests({"name": "a/b", "text": ""}, workspace)
    assert needs == ("note:write:a/b",)


@pytest.mark.parametrize(
    "name",
    ["", "/a", "a/", "a//b", "..", "a/../b", ".", "a b", "a\0", "\u00e4", "*", "a/**", "a" * 300],
)
async def test_names_are_plain(call, name: str) -> None:
    with pytest.raises(InvalidArgumentsError):
        await call("store_note", name, text="x")
    with pytest.raises(InvalidArgumentsError):
        await call("recall_note", name)


@pytest.mark.parametrize("text", ["x" * 70_000, "\ud800", 7, ["x"]])
async def test_texts_are_limited(call, text: Json) -> None:
    with pytest.raises(InvalidArgumentsError):
        await call("store_note", "a", text=text)


async def test_there_is_room_for_so_many(call) -> None:
    for name in "abc":
        await call("store_note", name, text="x")
    with pytest.raises(NotesError, match="3 notes"):
        await call("store_note", "d", text="x")
    await call("store_note", "a", text="y")
    await call("store_note", "a", text=None)
    await call("store_note", "d", text="x")


async def test_without_a_place_there_are_none(registry, context_for) -> None:
    with pytest.raises(NotesError, match="nowhere"):
        await registry.call("recall_note", {"name": "a"}, context_for("note:*:**"))


async def test_a_workspace_keeps_its_own(registry, tmp_path, context_for) -> None:
    granted = context_for("note:*:**").granted
    for text in ("one", "two"):  # a new context, as after a restart
        context = ToolContext(Workspace(tmp_path, notes=tmp_path / "notes.db"), granted)
        await registry.call("store_note", {"name": text, "text": text}, context)
    value = (await registry.call("recall_note", {"name": "one"}, context)).value
    assert cast("Mapping[str, Json]", value)["text"] == "one"


async def test_many_at_once_lose_nothing(tmp_path) -> None:
    notes = FileNotes(tmp_path / "n.db")
    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(notes.store, Note(f"n/{number}", str(number), number))
    assert len(await notes.below("n")) == 20


async def test_a_file_that_is_none_is_told(tmp_path) -> None:
    (tmp_path / "n.db").write_bytes(b"no database" * 1_000)
    for path in (tmp_path / "n.db", tmp_path / "n.db" / "n.db", tmp_path):
        with pytest.raises(NotesError, match="cannot be used"):
            await FileNotes(path).recall("a")


async def test_the_directory_is_made_for_its_owner_alone(tmp_path) -> None:
    await FileNotes(tmp_path / "notes" / "n.db").store(Note("a", "x", 1))
    assert (tmp_path / "notes").stat().st_mode & 0o777 == 0o700


async def test_a_failed_write_leaves_what_was(tmp_path) -> None:
    notes = FileNotes(tmp_path / "n.db", most=1)
    await notes.store(Note("a", "x", 1))
    with pytest.raises(NotesError):
        await notes.store(Note("b", "y", 2))
    with sqlite3.connect(tmp_path / "n.db") as connection:
        assert connection.execute("SELECT name FROM notes").fetchall() == [("a",)]
    connection.close()
