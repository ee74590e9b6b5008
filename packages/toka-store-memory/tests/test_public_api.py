import toka.store.memory


def test_all_lists_exactly_the_public_names() -> None:
    public = {name for name in vars(toka.store.memory) if not name.startswith("_")}
    assert set(toka.store.memory.__all__) == public
    assert len(toka.store.memory.__all__) == len(public)
