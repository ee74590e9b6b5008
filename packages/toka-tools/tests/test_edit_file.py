"""Editing: exactly what was said, as often as was said, or nothing."""

from __future__ import annotations

import os
from typing import cast

import pytest

from toka.tools import (
    AccessDeniedError,
    FileMissingError,
    InvalidArgumentsError,
    TextNotThereError,
    WrongFileTypeError,
)

pytestmark = pytest.mark.anyio

CODE = "def first():\n    return 1\n\n\ndef second():\n    return 1\n"


@pytest.fixture
def edit(registry, workspace, context_for):
    (workspace.root / "code.py").write_text(CODE)

    async def call(old, new, path="code.py", *permissions, **more):
        arguments = {"path": path, "old": old, "new": new, **more}
        return (await registry.call("edit_file", arguments, context_for(*permissions))).value

    return call


async def test_replaces_what_stands_there_once(edit, workspace):
    value = await edit("second():\n    return 1", "second():\n    return 2")
    assert cast("dict", value) == {
        "path": str(workspace.root / "code.py"),
        "replaced": 1,
        "lines": [5],
        "bytes": len(CODE),
    }
    assert (workspace.root / "code.py").read_text() == CODE[:-2] + "2\n"


async def test_replaces_all_where_the_number_is_said(edit, workspace):
    assert (await edit("return 1", "return 3", times=2))["lines"] == [2, 6]
    assert (workspace.root / "code.py").read_text() == CODE.replace("1", "3")


async def test_another_number_changes_nothing_and_says_where(edit, workspace):
    with pytest.raises(TextNotThereError, match=r"2 times .* lines 2, 6") as refused:
        await edit("return 1", "return 3")
    assert refused.value.details["found"] == 2
    assert (workspace.root / "code.py").read_text() == CODE


async def test_what_is_not_there_is_said_with_the_nearest_line(edit, workspace):
    with pytest.raises(TextNotThereError, match=r"nearest line is 'def second\(\):'"):
        await edit("def second() :", "x")
    with pytest.raises(TextNotThereError):
        await edit("no such thing at all", "x")
    assert (workspace.root / "code.py").read_text() == CODE


async def test_the_file_keeps_its_mode_and_leaves_nothing_beside_it(edit, workspace):
    (workspace.root / "code.py").chmod(0o750)
    await edit("first", "one")
    assert (workspace.root / "code.py").stat().st_mode & 0o777 == 0o750
    assert os.listdir(workspace.root) == ["code.py"]  # noqa: PTH208


@pytest.mark.parametrize("permission", ["fs:read", "fs:write"])
async def test_both_grants_are_needed(edit, workspace, permission):
    with pytest.raises(AccessDeniedError):
        await edit("first", "one", "code.py", f"{permission}:{workspace.root}/**")
    assert (workspace.root / "code.py").read_text() == CODE


async def test_what_cannot_be_edited_is_refused(edit, workspace):
    (workspace.root / "binary").write_bytes(b"\xff\xfe\x00")
    (workspace.root / "huge").touch()
    os.truncate(workspace.root / "huge", (16 << 20) + 1)
    for path, error in (
        ("binary", WrongFileTypeError),
        ("huge", WrongFileTypeError),
        ("missing", FileMissingError),
        (".", WrongFileTypeError),
    ):
        with pytest.raises(error):
            await edit("a", "b", path)
    with pytest.raises(InvalidArgumentsError):
        await edit("a", "a")
    with pytest.raises(InvalidArgumentsError):
        await edit("", "a")
