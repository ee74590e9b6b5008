"""The validators of dates and of build files."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, cast

import pytest

from toka.tools import AccessDeniedError, FileAccessError, InvalidArgumentsError, effect_of
from toka.types import NANOSECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from toka.tools import ToolContext, ToolRegistry
    from toka.types import Json

pytestmark = pytest.mark.anyio


class Today:
    """2025-07-06, noon, in UTC."""

    def now(self) -> int:
        return 1_751_803_200 * NANOSECONDS

    def monotonic(self) -> int:
        return time.monotonic_ns()

    async def sleep(self, nanoseconds: int) -> None:
        """Nobody sleeps here."""


@pytest.fixture
def root(workspace) -> Path:
    return workspace.root


@pytest.fixture
def validate(registry: ToolRegistry, context_for: Callable[..., ToolContext]):
    async def call(tool: str, *permissions: str, **arguments: Json) -> Mapping[str, Json]:
        context = context_for(*permissions, clock=Today())
        return cast("Mapping[str, Json]", (await registry.call(tool, arguments, context)).value)

    return call


async def test_dates_in_the_future_are_found_in_every_format(validate, root) -> None:
    (root / "a.md").write_text("Today 2025-07-06.\nLater 2025-07-08, 07/09/2025\n\n2026/01/01!\n")
    value = await validate("validate_dates")
    assert value["violations"] == [
        {
            "file_path": f"{root}/a.md",
            "line_number": line,
            "date_text": text,
            "parsed_date": parsed,
            "days_in_future": days,
        }
        for line, text, parsed, days in (
            (2, "2025-07-08", "2025-07-08", 2),
            (2, "07/09/2025", "2025-07-09", 3),
            (4, "2026/01/01", "2026-01-01", 179),
        )
    ]
    assert (value["files_checked"], value["fixes_applied"], value["today"]) == (1, 0, "2025-07-06")


@pytest.mark.parametrize(
    "text",
    ["12099-01-01", "2099-01-011", "2099-01-01-2", "x2099-01-01", "a/2099/01/01", "2099-13-01",
     "2099-1-1", "20990101", "2099-02-30", "\u0662\u0660\u0669\u0669-01-01"],
)  # fmt: skip
async def test_what_is_no_date_is_left_alone(validate, root, text: str) -> None:
    (root / "a.md").write_text(text)
    assert (await validate("validate_dates"))["violations"] == []


async def test_a_date_with_a_time_is_one(validate, root) -> None:
    (root / "a.yaml").write_text("at: 2099-01-01T10:00:00Z")
    assert len((await validate("validate_dates"))["violations"]) == 1


async def test_strictly_impossible_dates_are_reported_too(validate, root) -> None:
    (root / "a.md").write_text("2025-02-30")
    (violation,) = (await validate("validate_dates", strict=True))["violations"]
    assert (violation["date_text"], violation["parsed_date"]) == ("2025-02-30", None)
    fixed = await validate("validate_dates", strict=True, fix_violations=True)
    assert (fixed["fixes_applied"], (root / "a.md").read_text()) == (0, "2025-02-30")


async def test_only_text_of_the_project_is_checked(validate, root) -> None:
    for name in ("target", "build", "dist", "node_modules", ".git", ".hidden"):
        (root / name).mkdir()
        (root / name / "a.md").write_text("2099-01-01")
    (root / "a.png").write_text("2099-01-01")
    (root / "b.py").write_text("2099-01-01")
    (root / "c.txt").write_bytes(b"\xff 2099-01-01")
    value = await validate("validate_dates")
    assert [one["file_path"] for one in value["violations"]] == [f"{root}/b.py"]
    assert [one["reason"] for one in value["skipped"]] == ["it is no UTF-8 text"]
    assert (await validate("validate_dates", pattern="*.md"))["files_checked"] == 0


async def test_fixing_writes_today_in_the_same_format(validate, root) -> None:
    (root / "a.md").write_text("a 2099-01-01 b 12/31/2099\r\n2099/01/01 2001-01-01\u00fc")
    (root / "a.md").chmod(0o640)
    value = await validate("validate_dates", fix_violations=True)
    assert value["fixes_applied"] == 3
    assert (root / "a.md").read_bytes().decode() == (
        "a 2025-07-06 b 07/06/2025\r\n2025/07/06 2001-01-01\u00fc"
    )
    assert (root / "a.md").stat().st_mode & 0o777 == 0o640
    assert (await validate("validate_dates", fix_violations=True))["violations"] == []


async def test_fixing_needs_to_write(validate, registry, root, workspace) -> None:
    (root / "a.md").write_text("2099-01-01")
    (root / "b.md").write_text("2099-01-01")
    tool = registry.get("validate_dates")
    assert tool.requests({}, workspace) == (f"fs:read:{root}",)
    fixing = {"fix_violations": True}
    assert tool.requests(fixing, workspace) == (f"fs:read:{root}", f"fs:write:{root}")
    assert (effect_of(tool, {}), effect_of(tool, fixing)) == ("read_only", "idempotent")
    with pytest.raises(AccessDeniedError):
        await validate("validate_dates", f"fs:read:{root}/**", **fixing)
    some = (f"fs:read:{root}/**", f"fs:write:{root}", f"fs:write:{root}/a.md")
    value = await validate("validate_dates", *some, **fixing)
    assert (value["fixes_applied"], len(value["skipped"])) == (1, 1)
    assert (root / "b.md").read_text() == "2099-01-01"


async def test_links_are_not_followed(validate, root, tmp_path) -> None:
    (tmp_path / "outside.md").write_text("2099-01-01")
    (root / "link.md").symlink_to(tmp_path / "outside.md")
    value = await validate("validate_dates", fix_violations=True)
    assert (value["violations"], (tmp_path / "outside.md").read_text()) == ([], "2099-01-01")


async def test_violations_are_limited_and_then_nothing_is_fixed(validate, root) -> None:
    (root / "a.md").write_text("2099-01-01\n" * 100)
    value = await validate("validate_dates", max_violations=10, fix_violations=True)
    assert (len(value["violations"]), value["truncated"], value["fixes_applied"]) == (10, True, 0)
    assert "2099" in (root / "a.md").read_text()


async def test_a_large_file_takes_no_time(validate, root) -> None:
    (root / "a.md").write_text("2024-01-0" * 400_000)
    before = time.process_time()
    await validate("validate_dates")
    assert time.process_time() - before < 5


async def test_bad_arguments_are_refused(validate) -> None:
    for bad in ({"pattern": "/etc/*"}, {"pattern": "../*"}, {"max_violations": 0}, {"path": ""}):
        with pytest.raises(InvalidArgumentsError):
            await validate("validate_dates", **bad)
    with pytest.raises(FileAccessError):
        await validate("validate_dates", path="missing")


async def test_a_good_cargo_workspace_is_valid(validate, root) -> None:
    (root / "Cargo.toml").write_text('[workspace]\nmembers = ["a", "crates/*"]\n')
    (root / "a").mkdir()
    (root / "a" / "Cargo.toml").write_text("")
    (root / ".gitignore").write_text("# built\n/target/\n")
    value = await validate("validate_build")
    assert value == {
        "path": str(root), "build_files": ["Cargo.toml"], "valid": True, "findings": []
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text", "level", "told"),
    [
        ("Cargo.toml", "[package]\nname = 'x'", "warning", "no [workspace]"),
        ("Cargo.toml", "", "error", "no [workspace]"),
        ("Cargo.toml", "[workspace]\nmembers = ['gone']", "error", "'gone'"),
        ("Cargo.toml", "[workspace]\nmembers = ['../..']", "error", "'../..'"),
        ("Cargo.toml", "[workspace]\nmembers = 7", "warning", "target/"),
        ("Cargo.toml", "[workspace\n", "error", "not TOML"),
        ("Cargo.toml", "[package]\nversion = '1'", "error", "no name"),
        ("pyproject.toml", "[project]\nname = 'x'", "error", "neither a version"),
        ("pyproject.toml", "[project]\nname='x'\nversion='1'", "warning", "which Python"),
        ("pyproject.toml", "[project]\nname='x'\nversion='1'\nreadme='R.md'", "error", "'R.md'"),
        ("pyproject.toml", "[tool.uv.workspace]\nmembers=['a']", "error", "'a'"),
        ("pyproject.toml", "x = 1", "error", "neither [project]"),
        ("pyproject.toml", "project = 1\ntool = []", "error", "neither [project]"),
        ("package.json", "{}", "error", "no name"),
        ("package.json", '{"private": true}', "warning", "`build`"),
        ("package.json", '{"private": true}', "warning", "locks"),
        ("package.json", "[]", "error", "no object"),
        ("package.json", '{"a": 1,\n}', "error", "not JSON"),
        ("package.json", "[" * 100_000, "error", "cannot be read"),
        ("package.json", "\udcff", "error", "cannot be read"),
    ],
)
async def test_faults_of_build_files_are_found(
    validate, root, name: str, text: str, level: str, told: str
) -> None:
    (root / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    value = await validate("validate_build")
    assert [one for one in value["findings"] if one["level"] == level and told in one["message"]]
    assert value["valid"] == all(one["level"] != "error" for one in value["findings"])


async def test_a_fault_has_its_line(validate, root) -> None:
    (root / "Cargo.toml").write_text("[workspace]\nmembers = [\n")
    (root / "package.json").write_text('{"a": 1,\n}')
    lines = {
        one["file"]: one["line"]
        for one in (await validate("validate_build"))["findings"]
        if one["line"]
    }
    assert lines["package.json"] == 2
    assert json.dumps(lines)


async def test_no_project_is_told(validate) -> None:
    value = await validate("validate_build")
    assert (value["valid"], value["build_files"]) == (False, [])


async def test_what_it_reads_is_granted(validate, registry, root, workspace, tmp_path) -> None:
    (root / "Cargo.toml").write_text("[workspace]")
    needed = (f"fs:read:{root}", f"fs:read:{root}/Cargo.toml")
    assert registry.get("validate_build").requests({}, workspace) == needed
    with pytest.raises(AccessDeniedError):
        await validate("validate_build", f"fs:read:{root}")
    (tmp_path / "outside.toml").write_text("[workspace]")
    (root / "pyproject.toml").symlink_to(tmp_path / "outside.toml")
    with pytest.raises(AccessDeniedError):
        await validate("validate_build")
