from types import ModuleType

import raft_core


def test_all_lists_exactly_the_public_names() -> None:
    public = {
        name
        for name, value in vars(raft_core).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)  # `raft_core.simulation`
    }
    assert set(raft_core.__all__) == public


def test_all_is_sorted_and_without_repetition() -> None:
    names = raft_core.__all__
    assert len(names) == len(set(names))
    constants = sorted(name for name in names if name.isupper())
    classes = sorted(name for name in names if not name.isupper() and name[0].isupper())
    functions = sorted(name for name in names if name[0].islower())
    assert names == [*constants, *classes, *functions]
