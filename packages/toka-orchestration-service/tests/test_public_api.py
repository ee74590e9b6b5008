import inspect

import toka.orchestration_service


def test_all_lists_exactly_the_public_names() -> None:
    public = {
        name
        for name, value in vars(toka.orchestration_service).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert set(toka.orchestration_service.__all__) == public
