from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from workshop.members import read_members
from workshop.shell import Failure
from workshop.versions import complaints, set_version, sister_specifier

if TYPE_CHECKING:
    from pathlib import Path

LOWER = """\
[project]
name = "toka-types"
version = "0.3.0"
description = "Words."
requires-python = ">=3.11"
dependencies = ["attrs>=24.2"]
"""
UPPER = """\
[project]
name = "toka-kernel"
version = "0.3.0"  # the aligned version
description = "Pure."
requires-python = ">=3.11"
dependencies = [
    "attrs>=24.2",
    "toka-types~=0.3.0",
]
optional-dependencies = { more = ["toka-types[fast]~=0.3.0; python_version < '3.13'"] }

[tool.other]
version = "9"
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in {"toka-types": LOWER, "toka-kernel": UPPER}.items():
        (tmp_path / "packages" / name).mkdir(parents=True)
        (tmp_path / "packages" / name / "pyproject.toml").write_text(text)
    return tmp_path


def kernel(root: Path) -> Path:
    return root / "packages/toka-kernel/pyproject.toml"


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("0.3.0", "~=0.3.0"),
        ("1.12.4", "~=1.12.0"),
        ("0.4.0rc1", "~=0.4.0rc1"),
        ("0.4.1a2", "~=0.4.0"),
    ],
)
def test_sisters_are_required_at_the_same_minor_version(version: str, expected: str) -> None:
    assert sister_specifier(version) == expected


@pytest.mark.parametrize("version", ["", "1", "1.2", "v1.2.3", "1.2.3-beta"])
def test_what_is_no_version_is_refused(root: Path, version: str) -> None:
    before = kernel(root).read_text()

    with pytest.raises(Failure, match="is not a version"):
        set_version(version, root)

    assert kernel(root).read_text() == before


def test_set_writes_the_version_and_the_sisters_and_nothing_else(root: Path) -> None:
    set_version("0.4.1", root)

    assert kernel(root).read_text() == (
        UPPER.replace('version = "0.3.0"', 'version = "0.4.1"').replace("~=0.3.0", "~=0.4.0")
    )
    assert list(complaints(read_members(root))) == []


def test_two_versions_are_told(root: Path) -> None:
    kernel(root).write_text(UPPER.replace('version = "0.3.0"', 'version = "0.3.1"'))

    assert list(complaints(read_members(root))) == [
        "members have 2 versions (0.3.0, 0.3.1); one is wanted"
    ]


@pytest.mark.parametrize("specifier", [">=0.3", "~=0.2.0", "", "==0.3.0"])
def test_any_other_requirement_on_a_sister_is_told(root: Path, specifier: str) -> None:
    kernel(root).write_text(UPPER.replace('"toka-types~=0.3.0"', f'"toka-types{specifier}"'))

    assert list(complaints(read_members(root))) == [
        f"toka-kernel requires toka-types{specifier}; ~=0.3.0 is wanted"
    ]
