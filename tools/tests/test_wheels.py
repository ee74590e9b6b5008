from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from workshop.members import Member, Requirement
from workshop.wheels import complaints

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SQLITE = "toka_store_sqlite-0.3.0"
LICENCE = b"Licence text\n"
PORTION = {"toka/store/sqlite/__init__.py": "", "toka/store/sqlite/py.typed": ""}
GOOD = {**PORTION, f"{SQLITE}.dist-info/licenses/LICENSE": LICENCE.decode()}
METADATA = """\
Summary: Events in a file.
Requires-Python: >=3.11
License-Expression: Apache-2.0
Requires-Dist: anyio>=4
Requires-Dist: toka-types~=0.3.0

# A README
"""


@pytest.fixture
def members(tmp_path: Path) -> list[Member]:
    return [
        Member(tmp_path, name, "0.3.0", "Events in a file.", ">=3.11", (Requirement("anyio", ""),))
        for name in ("toka-store-sqlite", "toka-types")
    ]


@pytest.fixture
def look(
    tmp_path: Path, members: list[Member], make_wheel: Callable[..., None]
) -> Callable[..., list[str]]:
    def look(files: dict[str, str], metadata: str = METADATA, version: str = "0.3.0") -> list[str]:
        path = tmp_path / f"{SQLITE}-py3-none-any.whl"
        make_wheel(path, "toka-store-sqlite", version, files, metadata)
        types = "toka_types-0.3.0"
        make_wheel(
            tmp_path / f"{types}-py3-none-any.whl",
            "toka-types",
            "0.3.0",
            {
                "toka/types/__init__.py": "",
                "toka/types/py.typed": "",
                f"{types}.dist-info/licenses/LICENSE": LICENCE.decode(),
            },
            METADATA.replace("Requires-Dist: toka-types~=0.3.0\n", ""),
        )
        return complaints(tmp_path, members, LICENCE)

    return look


def test_good_wheels_pass(look: Callable[..., list[str]]) -> None:
    assert look(GOOD) == []


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({**GOOD, "toka/__init__.py": ""}, "toka/__init__.py lies outside toka/store/sqlite/"),
        ({**GOOD, "sqlite/x.py": ""}, "sqlite/x.py lies outside toka/store/sqlite/"),
        (
            {**GOOD, "toka/store/sqlite/tests/test_x.py": ""},
            "toka/store/sqlite/tests/test_x.py has no place in a wheel",
        ),
        (
            {path: "" for path in GOOD if "py.typed" not in path}
            | {f"{SQLITE}.dist-info/licenses/LICENSE": LICENCE.decode()},
            "toka/store/sqlite/py.typed is missing",
        ),
        (PORTION, f"{SQLITE}.dist-info/licenses/LICENSE is missing"),
        (
            {**PORTION, f"{SQLITE}.dist-info/licenses/LICENSE": "Another"},
            f"{SQLITE}.dist-info/licenses/LICENSE differs from the project's",
        ),
    ],
)
def test_a_wrong_file_is_told(
    look: Callable[..., list[str]], files: dict[str, str], said: str
) -> None:
    assert look(files) == [f"{SQLITE}-py3-none-any.whl: {said}"]


def test_a_file_in_two_wheels_is_told(look: Callable[..., list[str]]) -> None:
    found = look({**GOOD, "toka/types/__init__.py": ""})

    assert found[-1] == (
        "toka/types/__init__.py is in "
        f"{SQLITE}-py3-none-any.whl and toka_types-0.3.0-py3-none-any.whl"
    )


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("~=0.3.0", ">=0.3", "it requires toka-types>=0.3; ~=0.3.0 is wanted"),
        (": Apache-2.0", ": MIT", "License-Expression is 'MIT'; 'Apache-2.0' is wanted"),
        ("# A README\n", "", "there is no README in its metadata"),
    ],
)
def test_wrong_metadata_is_told(
    look: Callable[..., list[str]], right: str, wrong: str, said: str
) -> None:
    assert look(GOOD, METADATA.replace(right, wrong)) == [f"{SQLITE}-py3-none-any.whl: {said}"]


def test_a_missing_and_a_strange_wheel_are_told(
    tmp_path: Path, members: list[Member], make_wheel: Callable[..., None]
) -> None:
    make_wheel(tmp_path / "stray-1-py3-none-any.whl", "stray", "1", {})

    assert complaints(tmp_path, members, LICENCE) == [
        f"{SQLITE}-py3-none-any.whl is missing",
        "toka_types-0.3.0-py3-none-any.whl is missing",
        "stray-1-py3-none-any.whl is of no member",
    ]
