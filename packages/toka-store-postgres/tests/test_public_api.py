from types import ModuleType

import toka.store.postgres


def test_all_lists_exactly_the_public_names() -> None:
    public = {
        name
        for name, value in vars(toka.store.postgres).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert set(toka.store.postgres.__all__) == public
