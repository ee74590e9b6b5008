import toka.types


def test_all_lists_exactly_the_public_names() -> None:
    public = {name for name in vars(toka.types) if not name.startswith("_")}
    assert set(toka.types.__all__) == public

    assert len(toka.types.__all__) == len(public)
