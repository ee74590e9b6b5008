"""Each safeguard, taken out: a run must notice. `python -m raft_core.simulation ablations` says
within how many seeds; here the seed that is known to notice comes first."""

from __future__ import annotations

import pytest

from raft_core.simulation import ABLATIONS, Ablation, run_seed
from raft_core.simulation.__main__ import BOUND


def test_there_are_enough_of_them() -> None:
    assert len({one.name for one in ABLATIONS}) == len(ABLATIONS) >= 20


@pytest.mark.parametrize("ablation", ABLATIONS, ids=lambda one: one.name)
def test_a_missing_safeguard_is_noticed(ablation: Ablation) -> None:
    # Any change of the core may move the seed that notices, but not beyond the bound.
    with ablation.removed():
        for seed in (ablation.found_at, *range(BOUND)):
            if run_seed(seed, ablation.given).violation is not None:
                break
        else:
            pytest.fail(f"{ablation.name} is not noticed in {BOUND} seeds")
    assert run_seed(seed, ablation.given).violation is None


def test_a_safeguard_is_back_after_the_block() -> None:
    ablation = ABLATIONS[0]
    owner, name, replacement = ablation.replaced[0]
    original = getattr(owner, name)
    with ablation.removed():
        assert getattr(owner, name) is replacement
    assert getattr(owner, name) is original
