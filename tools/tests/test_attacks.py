"""Every attack that the security packages answer to is a test whose name holds its number.

The numbers are those of the project's list: 4.1 tokens, 4.2 delegation, 4.3 key rotation, 4.4 rate
limits, 4.5 revocation. The faults of the first Toka are tests too, by the section of its inventory.
"""

import re
from collections.abc import Iterator

import pytest

from workshop.shell import ROOT

ATTACKS = {"1": 20, "2": 19, "3": 14, "4": 16, "5": 13}
FAULTS = {"02", "16", "17", "18", "19", "20", "21", "e1", "f"}
FAULTS_OF_DELEGATION = 14

_NAME = re.compile(r"^(?:async )?def (test_(?:attack_4_[1-5]|original)_\w+)", re.MULTILINE)


def _names() -> Iterator[str]:
    for folder in ("packages", "integration-tests", "tools"):
        for path in (ROOT / folder).rglob("test_*.py"):
            yield from _NAME.findall(path.read_text("utf-8"))


@pytest.fixture(scope="module")
def names() -> set[str]:
    return set(_names())


@pytest.mark.parametrize("section", ATTACKS)
def test_every_attack_is_a_test_of_its_number(names: set[str], section: str) -> None:
    wanted = {f"test_attack_4_{section}_{number:02}" for number in range(1, ATTACKS[section] + 1)}
    found = {name[: len("test_attack_4_1_01")] for name in names if "_attack_" in name}
    ours = {name for name in found if name.startswith(f"test_attack_4_{section}")}
    assert sorted(wanted - ours) == []
    assert sorted(ours - wanted) == []


def test_every_fault_of_the_first_toka_is_a_test(names: set[str]) -> None:
    sections = {name.split("_")[2] for name in names if name.startswith("test_original_")}
    assert sections == FAULTS
    numbered = {name[: len("test_original_18_01")] for name in names if "original_18" in name}
    assert len(numbered) == FAULTS_OF_DELEGATION
