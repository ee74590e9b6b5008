from __future__ import annotations

import toka.agent_runtime as face


def test_all_lists_exactly_the_public_names():
    public = {name for name in vars(face) if not name.startswith("_")}
    modules = {"testing"}
    assert set(face.__all__) == public - modules
    assert list(face.__all__) == sorted(face.__all__, key=_ruff_order)


def _ruff_order(name: str) -> tuple[int, str]:
    rank = 0 if name.isupper() else 1 if name[0].isupper() else 2
    return rank, name
