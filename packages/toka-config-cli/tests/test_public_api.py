import toka.config_cli


def test_all_lists_exactly_the_public_names() -> None:
    public = {name for name in vars(toka.config_cli) if not name.startswith("_")}
    assert set(toka.config_cli.__all__) == public
    assert len(toka.config_cli.__all__) == len(public)
