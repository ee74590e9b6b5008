import toka.bus.core


def test_all_lists_exactly_the_public_names() -> None:
    public = {name for name in vars(toka.bus.core) if not name.startswith("_")}
    assert set(toka.bus.core.__all__) == public
    assert len(toka.bus.core.__all__) == len(public)
