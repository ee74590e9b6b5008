from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from workshop.matrix import PYTHONS, affected, matrix
from workshop.members import Member, Requirement, dependants, import_name, read_member
from workshop.shell import Failure

if TYPE_CHECKING:
    from pathlib import Path


def member(path: Path, name: str, *sisters: str) -> Member:
    wanted = tuple(Requirement(sister, "~=0.3.0") for sister in sisters)
    return Member(path / name, name, "0.3.0", "", ">=3.11", wanted)


@pytest.fixture
def chain(tmp_path: Path) -> list[Member]:
    return [
        member(tmp_path, "toka-auth"),
        member(tmp_path, "toka-cli", "toka-runtime"),
        member(tmp_path, "toka-runtime", "toka-types"),
        member(tmp_path, "toka-types"),
    ]


@pytest.mark.parametrize(
    ("distribution", "expected"),
    [
        ("toka-types", "toka.types"),
        ("toka-agent-runtime", "toka.agent_runtime"),
        ("toka-store-sqlite", "toka.store.sqlite"),
        ("toka-capability-jwt-hs256", "toka.capability.jwt_hs256"),
        ("toka-bus-nats", "toka.bus.nats"),
        ("raft-core", "raft_core"),
    ],
)
def test_import_name_follows_one_rule(distribution: str, expected: str) -> None:
    assert import_name(distribution) == expected


def test_requirements_are_split_from_their_names() -> None:
    found = Requirement.parse("Toka_Types[extra] ~=0.3.0; python_version < '4'")

    assert found == Requirement("toka-types", "~=0.3.0; python_version < '4'")


def test_a_member_without_a_version_is_named(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\n')

    with pytest.raises(Failure, match=r"pyproject\.toml: \[project\] has no 'version'"):
        read_member(tmp_path)


def test_dependants_are_found_at_any_distance(chain: list[Member]) -> None:
    assert dependants(chain, ["toka-types"]) == {"toka-types", "toka-runtime", "toka-cli"}


def test_matrix_is_every_package_on_every_python(chain: list[Member]) -> None:
    include = matrix(chain, None)["include"]

    assert len(include) == len(chain) * len(PYTHONS)
    assert include[0] == {
        "package": "toka-auth",
        "folder": "packages/toka-auth",
        "python": "3.11",
    }


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (["packages/toka-runtime/src/toka/runtime/_log.py"], {"toka-runtime", "toka-cli"}),
        (["packages/toka-auth/README.md"], {"toka-auth"}),
        (["docs/index.md", "README.md", "integration-tests/test_kill.py"], set[str]()),
        (["uv.lock"], {"toka-auth", "toka-cli", "toka-runtime", "toka-types"}),
        (["packages/gone/x.py"], {"toka-auth", "toka-cli", "toka-runtime", "toka-types"}),
    ],
)
def test_a_change_concerns_its_package_and_all_that_stand_on_it(
    chain: list[Member], changed: list[str], expected: set[str]
) -> None:
    assert affected(chain, changed) == expected
