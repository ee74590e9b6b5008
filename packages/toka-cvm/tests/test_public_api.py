import inspect

import toka.cvm as face


def test_all_lists_exactly_the_public_names():
    public = {
        name
        for name, value in vars(face).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert set(face.__all__) == public
    assert len(face.__all__) == len(public)
