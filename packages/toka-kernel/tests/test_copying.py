import attrs
import pytest

from toka.kernel import _account, _ledger, _state
from toka.kernel._copying import evolve

CLASSES = [
    value
    for module in (_account, _ledger, _state)
    for value in vars(module).values()
    if isinstance(value, type) and attrs.has(value) and value.__module__ == module.__name__
]


@pytest.mark.parametrize("made", CLASSES, ids=lambda made: made.__name__)
def test_copies_are_what_attrs_makes(made):
    names = [field.name for field in attrs.fields(made)]
    instance = made(*names)
    for name in names:
        assert evolve(instance, **{name: "new"}) == attrs.evolve(instance, **{name: "new"})
    assert evolve(instance) == instance


def test_a_field_that_is_not_there_is_refused():
    with pytest.raises(KeyError, match="colour"):
        evolve(_state.EMPTY_STATE, colour="red")
