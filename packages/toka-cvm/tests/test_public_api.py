import toka.cvm as face


def test_all_lists_exactly_the_public_names():
    public = {name for name in vars(face) if not name.startswith("_")}
    assert set(face.__all__) == public
    assert len(face.__all__) == len(public)
