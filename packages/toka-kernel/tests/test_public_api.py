import toka.kernel


def test_all_lists_exactly_the_public_names():
    public = {name for name in vars(toka.kernel) if not name.startswith("_")}
    assert set(toka.kernel.__all__) == public
    assert sorted(toka.kernel.__all__) == sorted(set(toka.kernel.__all__))
