import toka.cli


def test_all_lists_exactly_the_public_names() -> None:
    public = {name for name in vars(toka.cli) if not name.startswith("_")}
    assert set(toka.cli.__all__) == public
