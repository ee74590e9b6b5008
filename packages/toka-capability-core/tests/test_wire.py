import contextlib
import json

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toka.capability.core import (
    BUDGET_RESOURCES,
    Claims,
    Extension,
    InvalidClaimsError,
    TokenRefusedError,
    decode_claims,
    encode_claims,
    strict_json,
)

WIRE = {
    "sub": "alice",
    "vault": "default",
    "permissions": ["fs:read:/data/**"],
    "iat": 1_795_000_000,
    "exp": 1_795_000_900,
    "jti": "t1",
}
CLAIMS = Claims("alice", "default", ("fs:read:/data/**",), 1_795_000_000, 1_795_000_900, "t1")


def with_(**changes):
    return json.dumps({**WIRE, **changes}).encode()


def test_the_wire_form_is_canonical_and_leaves_out_what_is_absent():
    assert encode_claims(CLAIMS) == (
        b'{"exp":1795000900,"iat":1795000000,"jti":"t1","permissions":["fs:read:/data/**"],'
        b'"sub":"alice","vault":"default"}'
    )


def test_other_spellings_of_the_same_json_are_read():
    assert decode_claims(json.dumps(WIRE, indent=2).encode()) == CLAIMS


names = st.text(st.characters(codec="utf-8", max_codepoint=0x7F), max_size=20)


@given(
    st.builds(
        Claims,
        names,
        names,
        st.lists(names).map(tuple),
        st.integers(0, 2**60),
        st.integers(0, 2**60),
        names,
        st.none() | st.integers(0, 2**60),
        st.lists(names).map(tuple),
        st.lists(names).map(tuple),
        st.dictionaries(st.sampled_from(sorted(BUDGET_RESOURCES)), st.integers(0, 2**60)).map(
            lambda budget: tuple(sorted(budget.items()))
        ),
    )
)
def test_what_is_encoded_is_decoded_alike(claims):
    assert decode_claims(encode_claims(claims)) == claims


def test_what_has_no_canonical_encoding_is_not_encoded():
    with pytest.raises(InvalidClaimsError):
        encode_claims(attrs.evolve(CLAIMS, subject="e\u0301"))
    with pytest.raises(InvalidClaimsError):
        encode_claims(attrs.evolve(CLAIMS, subject="\ud800"))


@pytest.mark.parametrize("name", sorted(WIRE))
def test_attack_4_1_09_a_missing_member_is_refused(name):
    members = {key: value for key, value in WIRE.items() if key != name}
    with pytest.raises(TokenRefusedError, match=name):
        decode_claims(json.dumps(members).encode())


@pytest.mark.parametrize("name", ["iss", "typ", "scope", "SUB", "caveats", "only_untainted"])
def test_an_unknown_member_is_refused_because_it_might_restrict(name):
    with pytest.raises(TokenRefusedError, match="unknown"):
        decode_claims(with_(**{name: "x"}))


@pytest.mark.parametrize(
    "payload",
    [
        b'{"exp":1,"exp":1795000900}',
        b'{"jti":"a","jti":"b"}',
        b'{"permissions":[],"permissions":["fs:read:/**"]}',
        b'{"budget":{"money":1,"money":2}}',
    ],
)
def test_attack_4_1_03_a_name_that_occurs_twice_is_refused(payload):
    with pytest.raises(TokenRefusedError, match="strict JSON"):
        decode_claims(payload)


@pytest.mark.parametrize(
    "number",
    [
        "true",
        '"9999999999"',
        "null",
        "NaN",
        "Infinity",
        "-Infinity",
        "1e400",
        "1e30",
        "1.5",
        "1.0",
        "9" * 5_000,
        "[1]",
        "{}",
    ],
)
@pytest.mark.parametrize("name", ["exp", "iat", "nbf"])
def test_attack_4_1_09_a_time_is_a_json_integer(name, number):
    payload = with_(**{name: 0}).replace(f'"{name}": 0'.encode(), f'"{name}": {number}'.encode())
    assert number.encode() in payload
    with pytest.raises(TokenRefusedError):
        decode_claims(payload)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b'"text"',
        b"17",
        b"null",
        b"[" * 100_000,
        b'{"a":' * 5_000,
        json.dumps(WIRE).encode("utf-16"),
        b"\xef\xbb\xbf" + json.dumps(WIRE).encode(),
        b'{"sub":"\xff"}',
        b'{"sub":"\xed\xa0\x80"}',
        b'{"sub":"a\nb"}',
        b"{'sub':'a'}",
        json.dumps(WIRE).encode() + b"{}",
    ],
)
def test_attack_4_1_12_a_payload_that_is_no_strict_object_is_refused(payload):
    with pytest.raises(TokenRefusedError) as caught:
        decode_claims(payload)
    assert caught.value.code == "capability.malformed"


@pytest.mark.parametrize(
    "changes",
    [
        {"sub": 1},
        {"sub": None},
        {"permissions": "fs:read:/**"},
        {"permissions": [1]},
        {"permissions": {"fs:read:/x": 1}},
        {"aud": "node"},
        {"aud": []},
        {"untainted": []},
        {"budget": []},
        {"budget": {}},
        {"budget": {"money": "1"}},
        {"budget": {"money": True}},
        {"nbf": None},
    ],
)
def test_a_member_of_another_type_is_refused(changes):
    with pytest.raises(TokenRefusedError):
        decode_claims(with_(**changes))


@given(
    st.binary(max_size=200)
    | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace"))
)
def test_attack_4_1_20_bytes_are_read_or_refused_by_the_one_exception(data):
    for read in (strict_json, decode_claims):
        with contextlib.suppress(TokenRefusedError):
            read(data)


def test_no_extension_is_lost_for_its_name():
    twice = (Extension("acme.place", "here"), Extension("acme.place", "there"))
    with pytest.raises(InvalidClaimsError, match="one name"):
        encode_claims(attrs.evolve(CLAIMS, extensions=twice))
