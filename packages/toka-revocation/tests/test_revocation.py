import pytest
from hypothesis import given
from hypothesis import strategies as st

from toka.revocation import InvalidRevocationError, Revocation, canonical_id

UUID = "0f8fad5b-d9cb-469f-a165-70867728950e"


@pytest.mark.parametrize("bad", ["", " ", "a" * 257, "a\0b", "a\n", " a", "e\u0301", 5, None, b"a"])
def test_a_name_that_is_no_name_is_refused(bad):
    for make in (
        Revocation.of_token,
        Revocation.of_key,
        lambda name: Revocation.of_subject("default", name, issued_until=1),
        lambda name: Revocation.of_subject(name, "alice", issued_until=1),
    ):
        with pytest.raises(InvalidRevocationError):
            make(bad)


@pytest.mark.parametrize("bad", [-1, 1.5, True, "1", 253_402_300_800])
def test_a_time_out_of_range_is_refused(bad):
    with pytest.raises(InvalidRevocationError):
        Revocation.of_everything(issued_until=bad)
    with pytest.raises(InvalidRevocationError):
        Revocation.of_token("t1", expires_at=bad)


def test_a_revocation_is_kept_as_long_as_any_token_lives():
    assert Revocation.of_token("t").forgettable_at(0) > 253_402_300_799
    assert Revocation.of_token("t", expires_at=5).forgettable_at(1_000) >= 1_000 + 86_400 + 60
    assert Revocation.of_token("t", expires_at=10**6).forgettable_at(0) >= 10**6 + 60
    assert Revocation.of_everything(issued_until=7).forgettable_at(0) >= 7 + 86_400 + 60
    assert Revocation.of_key("k").forgettable_at(0) > 253_402_300_799


@given(st.text())
def test_a_canonical_id_is_its_own_canonical_id(text):
    try:
        once = canonical_id(text)
    except InvalidRevocationError:
        return
    assert canonical_id(once) == once


def test_almost_a_uuid_is_no_uuid():
    assert canonical_id(UUID.upper() + "0") == UUID.upper() + "0"
    assert canonical_id("A" * 26) == "A" * 26
