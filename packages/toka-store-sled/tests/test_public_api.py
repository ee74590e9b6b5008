import toka.store.sled


def test_all_lists_exactly_the_public_names() -> None:
    public = {name for name in vars(toka.store.sled) if not name.startswith("_")}
    assert set(toka.store.sled.__all__) == public
    assert len(toka.store.sled.__all__) == len(public)
