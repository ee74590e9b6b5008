from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from workshop import layout, readme
from workshop.shell import ROOT, Failure

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of this workspace as far as the check looks at it."""
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path / name)
    ignored = shutil.ignore_patterns("tests", "__pycache__", "_*.py")
    for path in (ROOT / "packages").iterdir():
        shutil.copytree(path, tmp_path / "packages" / path.name, ignore=ignored)
    for init in ROOT.glob("packages/*/src/**/__init__.py"):
        shutil.copy(init, tmp_path / init.relative_to(ROOT))
    return tmp_path


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


def test_this_workspace_is_in_order(copy: Path) -> None:
    assert layout.complaints(copy) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("toka-types = { workspace = true }\n", "", "[tool.uv.sources] lacks toka-types"),
        ('    "toka.runtime",\n', "", "[tool.importlinter] layers lacks toka.runtime"),
        (
            'source_pkgs = ["raft_core", ',
            "source_pkgs = [",
            "[tool.coverage.run] source_pkgs lacks raft_core",
        ),
        (
            '\npackages = ["raft_core"',
            '\npackages = ["toka.nothing", "raft_core"',
            "[tool.mypy] packages holds toka.nothing, which is not in the workspace",
        ),
    ],
)
def test_a_list_at_the_root_that_forgets_a_member_is_told(
    copy: Path, old: str, new: str, said: str
) -> None:
    edit(copy / "pyproject.toml", old, new)

    assert layout.complaints(copy) == [f"pyproject.toml: {said}"]


def test_a_file_in_a_shared_namespace_is_told(copy: Path) -> None:
    stray = copy / "packages/toka-types/src/toka/__init__.py"
    stray.write_text("")

    assert layout.complaints(copy) == [
        "packages/toka-types/src/toka/__init__.py: toka is shared by many packages; remove this"
    ]


def test_a_package_of_tests_is_told(copy: Path) -> None:
    (copy / "packages/toka-types/tests").mkdir()
    (copy / "packages/toka-types/tests/__init__.py").write_text("")

    assert layout.complaints(copy) == [
        "packages/toka-types/tests/__init__.py: two of these in a workspace clash; remove it"
    ]


def test_a_licence_that_is_a_link_is_told(copy: Path) -> None:
    path = copy / "packages/toka-types/LICENSE"
    path.unlink()
    path.symlink_to(copy / "LICENSE")

    assert layout.complaints(copy) == [
        "toka-types: LICENSE must be a real copy; a link does not get into the wheel"
    ]


def test_a_missing_typing_marker_is_told(copy: Path) -> None:
    (copy / "packages/toka-types/src/toka/types/py.typed").unlink()

    assert layout.complaints(copy) == [
        "toka-types: packages/toka-types/src/toka/types/py.typed is missing"
    ]


def test_a_sister_in_a_test_group_is_there_anyway(copy: Path) -> None:
    edit(copy / "packages/toka-types/pyproject.toml", "test = [", 'test = ["toka-kernel~=0.3.0", ')

    assert layout.complaints(copy) == []


def test_a_test_dependency_that_only_a_member_names_is_told(copy: Path) -> None:
    edit(copy / "packages/toka-types/pyproject.toml", "test = [", 'test = ["httpx2", ')

    assert layout.complaints(copy) == [
        "toka-types: its test group needs httpx2, the root's lacks it"
    ]


def test_a_stale_table_in_the_readme_is_told_and_renewed(copy: Path) -> None:
    edit(copy / "README.md", "| `toka.types` |", "| `toka.types2` |")
    assert "stale" in layout.complaints(copy)[0]

    readme.renew(copy)

    assert (copy / "README.md").read_text() == (ROOT / "README.md").read_text()


def test_a_readme_without_a_place_for_the_table_is_told(copy: Path) -> None:
    edit(copy / "README.md", "<!-- packages -->", "")

    with pytest.raises(Failure, match="the table belongs between"):
        layout.complaints(copy)


def test_a_stranger_at_the_top_is_told() -> None:
    tracked = ["README.md", "packages/x/y.py", ".gitignore", "notes.txt", "scratch/x.py"]

    assert layout.strangers(tracked) == ["notes.txt", "scratch"]
