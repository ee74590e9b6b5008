import pytest
from hypothesis import given
from hypothesis import strategies as st

from toka.rate_limiter import ClientAddress, InvalidLimitError


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["1.2.3.4, 198.51.100.7, 10.0.0.2"], "198.51.100.7"),
        ("10.0.0.1", ["1.2.3.4", "198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["198.51.100.7:4711"], "198.51.100.7"),
        ("10.0.0.1", ["[2001:db8::1]:443"], "2001:db8::/64"),
        ("10.0.0.1", ["1.2.3.4, nonsense, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("203.0.113.9", ["1.2.3.4"], "203.0.113.9"),
        ("::ffff:10.0.0.1", ["1.2.3.4"], "1.2.3.4"),
        ("fe80::1%eth0", [], "fe80::/64"),
        (None, ["1.2.3.4"], "unknown"),
        ("", [], "unknown"),
    ],
)
def test_the_client_is_the_first_that_is_not_ours(peer, forwarded, expected):
    assert ClientAddress(["10.0.0.0/8"]).of(peer, forwarded) == expected


def test_a_chain_of_only_our_own_ends_at_its_last():
    chain = ",".join(["10.0.0.1"] * 1_000)
    assert ClientAddress(["10.0.0.0/8"]).of("10.0.0.9", ["10.0.0.2," + chain]) == "10.0.0.1"


def test_the_prefix_of_ipv6_can_be_chosen():
    assert ClientAddress(ipv6_prefix=48).of("2001:db8:1:2::3") == "2001:db8:1::/48"
    assert ClientAddress(ipv6_prefix=128).of("2001:DB8:0::3") == "2001:db8::3"


@pytest.mark.parametrize("bad", [{"trusted": ["10.0.0.0/33"]}, {"ipv6_prefix": 0}])
def test_rules_that_make_no_sense_are_refused(bad):
    with pytest.raises(InvalidLimitError):
        ClientAddress(**bad)


@given(st.text(), st.lists(st.text(), max_size=5))
def test_any_text_gives_an_address_or_none(peer, forwarded):
    found = ClientAddress(["10.0.0.0/8", "::1/128"]).of(peer, forwarded)
    assert len(found) < 60
    assert found.isascii()
