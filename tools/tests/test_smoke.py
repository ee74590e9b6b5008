from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from workshop.members import Member, Requirement
from workshop.shell import Failure
from workshop.smoke import attempt, sisters

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GOOD = 'from toka.types import Word\n\n__all__ = ["Word"]\n'


@pytest.fixture
def members(tmp_path: Path) -> list[Member]:
    return [
        Member(tmp_path, "toka-kernel", "0.3.0", "", ">=3.11", (Requirement("toka-types", ""),)),
        Member(tmp_path, "toka-types", "0.3.0", "", ">=3.11", ()),
    ]


@pytest.fixture
def build(tmp_path: Path, make_wheel: Callable[..., None]) -> Callable[..., None]:
    def build(kernel: str, requires: str = "Requires-Dist: toka-types~=0.3.0\n") -> None:
        for stem, files, more in [
            ("toka_kernel", {"toka/kernel/__init__.py": kernel}, requires),
            ("toka_types", {"toka/types/__init__.py": '__all__ = ["Word"]\nWord = str\n'}, ""),
        ]:
            path = tmp_path / f"{stem}-0.3.0-py3-none-any.whl"
            make_wheel(path, stem.replace("_", "-"), "0.3.0", files, more)

    return build


def try_kernel(folder: Path, members: list[Member]) -> str:
    constraints = folder / "constraints.txt"
    constraints.write_text("\n".join(sisters(folder, members)))
    return attempt(members[0], folder, constraints)


def test_a_wheel_that_declares_what_it_needs_works_alone(
    tmp_path: Path, members: list[Member], build: Callable[..., None]
) -> None:
    build(GOOD)

    assert try_kernel(tmp_path, members) == ""


@pytest.mark.parametrize(
    ("source", "requires", "said"),
    [
        (GOOD, "", "No module named 'toka.types'"),
        (GOOD, "Requires-Dist: toka-types~=0.2.0\n", "unsatisfiable"),
        ('__all__ = ["Gone"]\n', "", "__all__ names what it does not have: Gone"),
        ("import warnings\nwarnings.warn('old')\n__all__ = []\n", "", "UserWarning: old"),
        ("", "", "it has no __all__"),
    ],
)
def test_what_does_not_work_alone_is_told(
    tmp_path: Path,
    members: list[Member],
    build: Callable[..., None],
    source: str,
    requires: str,
    said: str,
) -> None:
    build(source, requires)

    assert said in try_kernel(tmp_path, members)


def test_a_wheel_that_was_not_built_is_named(tmp_path: Path, members: list[Member]) -> None:
    with pytest.raises(Failure, match=r"toka_kernel-0\.3\.0-py3-none-any\.whl is missing"):
        sisters(tmp_path, members)
