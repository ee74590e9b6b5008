import pytest
from hypothesis import given
from hypothesis import strategies as st

from toka.store.core import InvalidEvent, pack_id, unpack_id
from toka.types import ulid


@given(st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10))
def test_an_identifier_is_its_sixteen_bytes(milliseconds, entropy):
    text = ulid(milliseconds, entropy)
    data = milliseconds.to_bytes(6, "big") + entropy
    assert pack_id(text) == data
    assert unpack_id(data) == text


@given(st.binary(min_size=16, max_size=16), st.binary(min_size=16, max_size=16))
def test_bytes_and_text_have_the_same_order(one, other):
    assert (one < other) == (unpack_id(one) < unpack_id(other))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0" * 25,
        "0" * 27,
        "8" + "0" * 25,
        "z" * 26,
        "01JD3X8ZK5Q6T7V8W9XAYBZCDU",
        "01JD3X8ZK5Q6T7V8W9XAYBZCDl",
        "+" + "0" * 25,
        " " + "0" * 25,
        "0_" + "0" * 24,
        "é" + "0" * 25,
        "\ud800" + "0" * 25,
        "\u0660" * 26,
    ],
)
def test_what_is_no_identifier_is_refused(text):
    with pytest.raises(InvalidEvent) as caught:
        pack_id(text)
    assert caught.value.code == "store.invalid_event"
    str(caught.value).encode()  # an error can always be written to a log
