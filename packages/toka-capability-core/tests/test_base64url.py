import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toka.capability.core import decode_base64url, encode_base64url


@given(st.binary(min_size=1))
def test_encoding_is_the_standard_one_and_decoding_its_inverse(data):
    text = encode_base64url(data)
    assert text == base64.urlsafe_b64encode(data).rstrip(b"=").decode()
    assert decode_base64url(text) == data


@given(st.text(alphabet="ABQgwxyz09-_+/= \n", max_size=8))
def test_only_the_canonical_spelling_is_decoded(text):
    try:
        data = decode_base64url(text)
    except ValueError:
        return
    assert encode_base64url(data) == text


@pytest.mark.parametrize(
    "text", ["", "A", "AB", "QQ==", "QQ=", "Q Q", "QQ\n", "Q+Q_", "Q/Q_", "éQ"]
)
def test_other_spellings_are_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011 - any ValueError is the contract
        decode_base64url(text)
