import inspect

import toka.tools.wasm as package


def test_all_names_what_is_public():
    names = {
        name
        for name, value in vars(package).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert names == set(package.__all__)
    assert sorted(package.__all__) == package.__all__
