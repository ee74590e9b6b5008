from types import ModuleType

import toka.store.core
import toka.store.core.conformance
import toka.store.core.conformance.crash
import toka.store.core.testing


def test_all_lists_exactly_the_public_names() -> None:
    public = {
        name
        for name, value in vars(toka.store.core).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert set(toka.store.core.__all__) == public
    assert len(toka.store.core.__all__) == len(public)


def test_the_suite_is_public() -> None:
    names = {"EventStoreConformance", "NewPlace", "Opener"}
    assert set(toka.store.core.conformance.__all__) == names
    assert toka.store.core.conformance.crash.__all__ == ["CrashConformance"]


def test_the_helpers_are_public() -> None:
    public = {
        name
        for name, value in vars(toka.store.core.testing).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert set(toka.store.core.testing.__all__) == public
