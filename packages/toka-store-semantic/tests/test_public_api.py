import toka.store.semantic


def test_all_lists_exactly_the_public_names() -> None:
    public = {name for name in vars(toka.store.semantic) if not name.startswith("_")}
    assert set(toka.store.semantic.__all__) == public
    assert len(toka.store.semantic.__all__) == len(public)
