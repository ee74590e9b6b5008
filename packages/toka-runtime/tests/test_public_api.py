import toka.runtime


def test_all_lists_exactly_the_public_names() -> None:
    public = {name for name in vars(toka.runtime) if not name.startswith("_")}
    assert set(toka.runtime.__all__) == public
