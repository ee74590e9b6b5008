import toka.store.sqlite


def test_all_lists_exactly_the_public_names() -> None:
    public = {name for name in vars(toka.store.sqlite) if not name.startswith("_")}
    assert set(toka.store.sqlite.__all__) == public
    assert len(toka.store.sqlite.__all__) == len(public)
