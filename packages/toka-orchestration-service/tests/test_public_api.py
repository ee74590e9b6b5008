import toka.orchestration_service


def test_all_lists_exactly_the_public_names() -> None:
    public = {name for name in vars(toka.orchestration_service) if not name.startswith("_")}
    assert set(toka.orchestration_service.__all__) == public
