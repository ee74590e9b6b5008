import json
import pickle
import random
import sys
import time
import traceback

import pytest

from toka.capability.core import Denial, TokenRefusedError, encode_base64url
from toka.capability.jwt_hs256 import Hs256Key, JwtHs256Validator

NOW = 1_795_000_000
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


@pytest.mark.parametrize("alg", ["none", "NoNe", "nOnE", "", ["HS256"], None, "HS512", "hs256"])
def test_attack_4_1_01_any_algorithm_but_ours_is_refused(refused, forge, alg):
    refused(forge(alg=alg), "bad_header")


def test_attack_4_1_01_a_missing_algorithm_is_refused(refused, forge, key):
    refused(forge({"typ": "toka.cap+jwt", "kid": key.kid}), "bad_header")


def test_attack_4_1_01_another_hash_is_refused_though_correctly_signed(refused, forge):
    refused(forge(alg="HS512", algorithm="sha512"))
    refused(forge(algorithm="sha512"))


def test_attack_4_1_01_an_unsigned_token_is_refused(refused, forge):
    refused(forge(alg="none").rpartition(".")[0] + ".", "malformed")


@pytest.mark.parametrize(
    "members",
    ['"alg":"none","alg":"HS256"', '"alg":"HS256","alg":"none"', '"alg":"HS256","alg":"HS256"'],
)
def test_attack_4_1_02_a_header_with_two_algorithms_is_refused(refused, forge, members):
    header = f'{{{members},"typ":"toka.cap+jwt"}}'.encode()
    refused(forge(header), "malformed")


@pytest.mark.parametrize(
    ("once", "twice"),
    [
        ('"exp": 1795000900', '"exp": 1, "exp": 1795000900'),
        ('"exp": 1795000900', '"exp": 1795000900, "exp": 1'),
        ('"jti": "t1"', '"jti": "t0", "jti": "t1"'),
        ('"permissions": [', '"permissions": [], "permissions": ['),
    ],
)
def test_attack_4_1_03_a_payload_with_a_name_twice_is_refused(refused, forge, wire, once, twice):
    text = json.dumps(wire)
    assert once in text
    refused(forge(payload=text.replace(once, twice).encode()), "malformed")


@pytest.mark.parametrize(
    "members",
    [
        {"jwk": {"kty": "oct", "k": "A" * 43}},
        {"jku": "https://evil.example/keys"},
        {"x5u": "https://evil.example/keys"},
        {"x5c": ["MII"]},
        {"crit": []},
        {"crit": ["x"], "x": 1},
        {"crit": ["b64"], "b64": False},
        {"b64": True},
        {"zip": "DEF"},
        {"cty": "JWT"},
        {"": ""},
    ],
)
def test_attack_4_1_04_a_header_that_says_more_is_refused(refused, forge, members):
    refused(forge(**members), "bad_header")


def test_attack_4_1_04_a_key_in_the_header_is_never_used(refused, forge):
    secret = bytes(range(32))
    jwk = {"kty": "oct", "k": encode_base64url(secret)}
    refused(forge({"alg": "HS256", "typ": "toka.cap+jwt", "jwk": jwk}, secret=secret))


_watched: list[str] = []
_watching = False


def _watch(event: str, _arguments: object) -> None:
    if _watching and event.partition(".")[0] in ("open", "socket", "sqlite3", "subprocess", "os"):
        _watched.append(event)


sys.addaudithook(_watch)


@pytest.mark.parametrize(
    "kid",
    [
        "../../../dev/null",
        "/etc/hostname",
        "a\0b",
        "' OR 1=1 --",
        "x" * 300,
        "",
        ".",
        "\u0661\u0662",
        1,
        ["a"],
        {"a": 1},
        None,
        True,
    ],
)
def test_attack_4_1_07_a_strange_key_name_is_refused_without_looking_anywhere(refused, forge, kid):
    global _watching  # noqa: PLW0603 - an audit hook cannot be removed
    forged = forge(kid=kid)
    _watched.clear()
    _watching = True
    try:
        refused(forged)
    finally:
        _watching = False
    assert _watched == []


@pytest.mark.parametrize("kid", [1, ["a"], {"a": 1}, None, True])
def test_attack_4_1_07_a_key_name_that_is_no_text_is_not_a_missing_one(refused, forge, kid):
    refused(forge(kid=kid), "bad_header")


def test_attack_4_1_08_a_key_signs_only_under_its_own_name(key, clock, forge):
    other = Hs256Key.generate()
    validator = JwtHs256Validator([key, other], clock)
    with pytest.raises(TokenRefusedError) as caught:
        validator.validate(forge(kid=other.kid))
    assert caught.value.code == "capability.bad_signature"


def test_attack_4_1_08_unknown_key_names_load_nothing_and_are_not_remembered(key, clock, forge):
    taken = []
    validator = JwtHs256Validator((taken.append(each) or each for each in [key]), clock)
    for number in range(1_000):
        with pytest.raises(TokenRefusedError, match="no key"):
            validator.validate(forge(kid=f"unknown-{number}"))
    assert len(taken) == 1
    assert len(validator._headers) == 1


@pytest.mark.parametrize(
    "number",
    [
        *'true "9999999999" null NaN Infinity 1e400 1e30 -1 1.5 9007199254740992'.split(),  # noqa: SIM905 - shorter
        "253402300800",
        "9" * 5_000,
        "01795000900",
    ],
    ids=lambda number: number[:20],
)
def test_attack_4_1_09_exp_is_an_integer_in_range(refused, forge, wire, number):
    text = json.dumps(wire).replace('"exp": 1795000900', f'"exp": {number}')
    refused(forge(payload=text.encode()))


def test_attack_4_1_09_exp_is_required(refused, forge, wire):
    del wire["exp"]
    refused(forge(payload=wire), "malformed")


def test_attack_4_1_10_a_token_ends_in_the_second_it_names(validator, token, clock, claims):
    clock.advance(899)
    assert validator.validate(token) == claims
    clock.advance(1)
    with pytest.raises(TokenRefusedError) as caught:
        validator.validate(token)
    assert caught.value.code == "capability.expired"


def test_attack_4_1_10_leeway_counts_for_both_ends(key, clock, forge, wire):
    validator = JwtHs256Validator([key], clock, 30)
    validator.validate(forge(payload={**wire, "nbf": NOW + 30}))
    validator.validate(forge(payload={**wire, "iat": NOW - 900, "exp": NOW - 29}))
    for payload in (
        {**wire, "nbf": NOW + 31},
        {**wire, "iat": NOW - 900, "exp": NOW - 30},
        {**wire, "iat": NOW + 31},
        {**wire, "exp": NOW + 86_401},
    ):
        with pytest.raises(TokenRefusedError):
            validator.validate(forge(payload=payload))


def test_attack_4_1_10_impossible_times_are_refused(refused, forge, wire):
    for changes in ({"iat": NOW + 6}, {"exp": NOW}, {"exp": NOW - 1}, {"exp": NOW + 86_401}):
        refused(forge(payload={**wire, **changes}))


def test_attack_4_1_11_setting_the_clock_back_revives_no_token(validator, token, clock):
    clock.advance(900)
    with pytest.raises(TokenRefusedError):
        validator.validate(token)
    clock.wall -= 3_600
    with pytest.raises(TokenRefusedError):
        validator.validate(token)


@pytest.mark.parametrize(
    "payload",
    [
        b"[]",
        b'"text"',
        b"17",
        b"[" * 5_000,
        b"{}",
        "{}".encode("utf-16"),
        b"\xef\xbb\xbf{}",
        b'{"sub":"\xff"}',
    ],
)
def test_attack_4_1_12_a_payload_that_is_no_object_of_claims_is_refused(refused, forge, payload):
    refused(forge(payload=payload), "malformed")


@pytest.mark.parametrize("subject", ["a\ud800", "a\0b", "", " ", "a\n"])
def test_attack_4_1_12_a_subject_that_is_no_clean_text_is_refused(refused, forge, wire, subject):
    refused(forge(payload={**wire, "sub": subject}), "bad_claims")


def test_attack_4_1_12_size_is_checked_before_anything_is_parsed(refused, forge):
    for forged in (forge(payload=b"x" * 3_000_000), forge(payload=b"[" * 100_000)):
        assert "8192" in refused(forged, "malformed").message


def shapes(token):
    head, payload, signature = token.split(".")
    yield from (" " + token, token + "\n", token + "=", token + ".", token + ".AAAA", "." + token)
    yield from (f"{head}.{payload}", f"{head}.{payload}.", f"{head}..{payload}.{signature}")
    yield json.dumps({"protected": head, "payload": payload, "signature": signature})
    yield from ("", "..", token[:-1] + "\uff21", token.encode(), memoryview(token.encode()))
    yield from (None, 17, [token])


def test_attack_4_1_12_what_is_too_much_is_refused_in_five_milliseconds(refused, forge):
    deep = forge(payload=b"[" * 5_000)  # The most that fits.
    for forged in (forge(payload=b"x" * 3_000_000), forge(payload=b"[" * 100_000), deep):
        taken = []
        for _ in range(5):
            began = time.process_time()
            refused(forged, "malformed")
            taken.append(time.process_time() - began)
        assert min(taken) < 0.005


def test_attack_4_1_13_another_shape_is_refused(refused, token):
    for presented in shapes(token):
        refused(presented, "malformed")


def test_attack_4_1_13_a_signature_has_one_spelling(validator, token, forge, claims):
    for genuine in (token, forge()):
        accepted = []
        for last in ALPHABET:
            try:
                assert validator.validate(genuine[:-1] + last) == claims
            except TokenRefusedError:
                continue
            accepted.append(last)
        assert accepted == [genuine[-1]]


def test_attack_4_1_13_an_unfamiliar_header_does_not_loosen_the_signature(key, clock, forge):
    genuine = forge()
    canonical = ALPHABET[::4]
    for last in set(ALPHABET) - {genuine[-1]}:
        with pytest.raises(TokenRefusedError) as caught:
            JwtHs256Validator([key], clock).validate(genuine[:-1] + last)
        kind = "bad_signature" if last in canonical else "malformed"
        assert caught.value.code == f"capability.{kind}"


def test_attack_4_1_13_a_payload_has_one_spelling(refused, key, wire, token):
    # Signed as it stands: unused bits at the end of the payload are set.
    payload = encode_base64url(json.dumps(wire).encode() + b" " * (-len(json.dumps(wire)) % 3 + 1))
    assert len(payload) % 4 == 2
    other = payload[:-1] + ALPHABET[ALPHABET.index(payload[-1]) + 1]
    for head in (
        token.partition(".")[0],
        encode_base64url(b'{"alg":"HS256","typ":"toka.cap+jwt"}'),
    ):
        signed = f"{head}.{other}"
        refused(f"{signed}.{encode_base64url(key.sign(signed.encode()))}")


def test_attack_4_1_14_a_header_has_at_most_512_bytes(validator, refused, forge):
    longest = b'{"alg":"HS256","typ":"toka.cap+jwt"}'.ljust(512 * 3 // 4)
    validator.validate(forge(longest))
    refused(forge(longest + b" "), "bad_header")


def test_attack_4_1_14_a_hundred_permissions_are_accepted(validator, refused, forge, wire):
    texts = [f"fs:read:/{number}" for number in range(101)]
    validator.validate(forge(payload={**wire, "permissions": texts[:100]}))
    refused(forge(payload={**wire, "permissions": texts}), "bad_claims")


@pytest.mark.parametrize(
    "text",
    [
        "fs.re\u0430d",
        "\uff46s.read",
        "fs.read\u200b",
        "FS.READ",
        " fs.read",
        "fs..read",
        "fs.*.",
        "*",
        "",
        "fs:read:/" + "x" * 512,
        "fs:read:/a/../b",
        "fs:read:/%2e%2e",
    ],
)
@pytest.mark.parametrize("name", ["permissions", "untainted"])
def test_attack_4_1_15_permissions_are_checked_when_validated(refused, forge, wire, name, text):
    refused(forge(payload={**wire, name: [text]}), "bad_claims")


@pytest.mark.parametrize("typ", ["at+jwt", "JWT", "jwt", "TOKA.CAP+JWT", "", None, 1])
def test_attack_4_1_16_another_kind_of_token_is_refused(refused, forge, typ):
    refused(forge(typ=typ), "bad_header")


def test_attack_4_1_16_a_token_without_a_kind_is_refused(refused, forge):
    refused(forge({"alg": "HS256"}), "bad_header")


def test_attack_4_1_16_a_token_is_for_its_audience(key, clock, forge, wire, refused):
    ours = JwtHs256Validator([key], clock, audience="node-1")
    assert ours.validate(forge(payload={**wire, "aud": ["node-1", "node-2"]})).audience
    for payload in (wire, {**wire, "aud": ["node-2"]}, {**wire, "aud": ["node-1"] + ["x"] * 1_000}):
        with pytest.raises(TokenRefusedError):
            ours.validate(forge(payload=payload))
    refused(forge(payload={**wire, "aud": ["node-1"]}), "wrong_audience")


def test_attack_4_1_19_no_refusal_shows_a_token(refused, token, forge, key):
    for presented in (token[:-1] + "!", token[:-4] + "AAAA", forge(typ="x"), forge(payload=[])):
        error = refused(presented)
        shown = "".join(traceback.format_exception(error)) + repr(error.details)
        for part in (*presented.split(".")[1:], key.unsafe_secret().hex()):
            assert part not in shown
        assert pickle.loads(pickle.dumps(error)).denial == error.denial  # noqa: S301 - our bytes


def test_attack_4_1_20_a_thousand_mutations_are_refused_by_the_one_exception(validator, token):
    chance = random.Random(20)  # noqa: S311 - reproducible, not secret
    for _ in range(1_000):
        letters = list(token)
        for _ in range(chance.randint(1, 3)):
            letters[chance.randrange(len(letters))] = chr(
                chance.choice([*range(128), 0xE9, 0x2028])
            )
        mutated = "".join(letters)
        if mutated != token:
            with pytest.raises(TokenRefusedError):
                validator.validate(mutated)


def test_attack_4_2_18_an_extension_counts_only_where_it_is_known(refused, forge, wire, key, clock):
    def rule(data, claims, now):
        assert (claims.subject, now) == ("alice", NOW)
        return None if data == 7 else Denial(code="acme.no")

    knowing = JwtHs256Validator([key], clock, extensions={"acme.ticket": rule})
    good, bad = (forge(payload={**wire, "ext": {"acme.ticket": data}}) for data in (7, 8))
    assert knowing.validate(good).subject == "alice"
    with pytest.raises(TokenRefusedError) as caught:
        knowing.validate(bad)
    assert caught.value.code == "acme.no"
    refused(good, "unknown_caveat")
