import json

import attrs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toka.types import NULL, CanonicalEncodingError, Codec, canonical, digest

_integers = st.integers(min_value=-(2**63), max_value=2**63 - 1)
_text = st.text(st.characters(max_codepoint=0x2FF, exclude_categories=("Cs",)), max_size=20)
_values = st.recursive(
    st.none() | st.booleans() | _integers | _text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_text, inner, max_size=4),
    max_leaves=20,
)


def _nested(depth: int) -> list[object]:
    value: list[object] = []
    for _ in range(depth):
        value = [value]
    return value


@attrs.frozen
class Inner:
    count: int
    label: str = ""


@attrs.frozen
class Outer:
    zebra: int
    apple: str
    inner: tuple[Inner, ...] = ()
    raw: msgspec.Raw = NULL


@given(_values)
def test_a_value_reads_back_as_it_was(value) -> None:
    assert json.loads(canonical(value)) == value


@given(st.dictionaries(_text, _integers, min_size=2, max_size=6))
def test_the_order_of_keys_does_not_change_the_bytes(mapping) -> None:
    backwards = dict(reversed(mapping.items()))
    assert canonical(mapping) == canonical(backwards)


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (1.0, "float"),
        ({"a": [1, {"b": 0.5}]}, r"value\.a\[1\]\.b"),
        ("e\u0301", "normalisation form C"),
        ({"e\u0301": 1}, "normalisation form C"),
        ({1: "x"}, "not text"),
        (2**63, "64 bits"),
        ({"x": b"bytes"}, "bytes"),
        (object(), "object"),
        (_nested(100_000), "canonical encoding"),
        ("\ud800", "canonical encoding"),
    ],
)
def test_a_value_without_canonical_encoding_is_refused(value, what) -> None:
    with pytest.raises(CanonicalEncodingError, match=what):
        canonical(value)


def test_a_codec_sorts_fields_and_reads_them_back() -> None:
    codec = Codec(Outer)
    value = Outer(1, "x", (Inner(2, "é"),))
    data = codec.encode(value)
    assert data == '{"apple":"x","inner":[{"count":2,"label":"é"}],"raw":null,"zebra":1}'.encode()
    assert codec.decode(data) == value


def test_raw_json_keeps_its_bytes_even_floats_and_odd_accents() -> None:
    raw = '{"x": 1.50, "e\u0301": 1}'.encode()
    data = Codec(Outer).encode(Outer(1, "x", raw=msgspec.Raw(raw)))
    assert raw in data
    assert bytes(Codec(Outer).decode(data).raw) == raw


def test_text_that_is_not_normal_is_named_by_its_place() -> None:
    with pytest.raises(CanonicalEncodingError, match=r"Outer\.inner\.label"):
        Codec(Outer).encode(Outer(1, "x", (Inner(2, "e\u0301"),)))


@attrs.frozen
class HasFloat:
    values: dict[str, list[float]]


@attrs.frozen
class HasNestedFloat:
    inner: tuple[HasFloat, ...] | None


@pytest.mark.parametrize("kind", [HasFloat, HasNestedFloat])
def test_a_class_that_could_hold_a_float_has_no_codec(kind) -> None:
    with pytest.raises(CanonicalEncodingError, match="float"):
        Codec(kind)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"zebra":"x"}', b"\xff\xfe", b"null"])
def test_bytes_that_are_not_the_class_are_refused(data) -> None:
    with pytest.raises(CanonicalEncodingError, match="not a Outer"):
        Codec(Outer).decode(data)


def test_a_digest_is_blake3() -> None:
    # The test vector of the BLAKE3 specification for the empty input.
    assert digest(b"").hex() == "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
