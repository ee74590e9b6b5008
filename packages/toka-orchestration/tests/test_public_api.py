import inspect

import toka.orchestration


def test_all_names_exist_and_nothing_else_is_public():
    public = {
        name
        for name, value in vars(toka.orchestration).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert public == set(toka.orchestration.__all__)
