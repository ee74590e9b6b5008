from types import ModuleType

import toka.bus.nats


def test_all_lists_exactly_the_public_names() -> None:
    public = {
        name
        for name, value in vars(toka.bus.nats).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert set(toka.bus.nats.__all__) == public
