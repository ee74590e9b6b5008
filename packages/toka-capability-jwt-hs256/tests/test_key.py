import copy
import json
import pickle
import traceback

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import OctKey

from toka.capability.jwt_hs256 import Hs256Key, InvalidKeyError

SECRET = bytes(range(100, 164))
DIGITS = SECRET.hex()[:64].encode()


@pytest.mark.parametrize("size", [0, 1, 31, 4_097])
def test_attack_4_1_06_a_key_of_the_wrong_size_is_refused(size):
    with pytest.raises(InvalidKeyError, match=f"not {size}"):
        Hs256Key.from_bytes(bytes(number % 251 for number in range(size)))


@pytest.mark.parametrize("size", [32, 64, 1_024, 4_096])
def test_attack_4_1_06_a_long_enough_key_is_accepted(size):
    secret = (bytes(range(256)) + bytes(range(255, -1, -1)) + DIGITS * 60)[:size]
    assert Hs256Key.from_bytes(secret).unsafe_secret() == secret


@pytest.mark.parametrize(
    "secret",
    [
        bytes(32),
        b"a" * 64,
        b"secret" * 10,
        b"0123456789abcdef" * 2,
        b"0123456789abcdef" * 2 + b"0123",
        b"abababababababababababababababaX",
    ],
)
def test_attack_4_1_06_a_regular_key_is_refused(secret):
    with pytest.raises(InvalidKeyError, match="regular"):
        Hs256Key.from_bytes(secret)


def test_random_bytes_and_their_hexadecimal_are_keys():
    Hs256Key.from_bytes(SECRET)
    Hs256Key.from_bytes(DIGITS)


def public_keys():
    private = rsa.generate_private_key(65_537, 2_048)
    points = ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate()
    for public in (private.public_key(), *(point.public_key() for point in points)):
        info = PublicFormat.SubjectPublicKeyInfo
        yield public.public_bytes(Encoding.PEM, info)
        yield public.public_bytes(Encoding.DER, info)
        yield public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    yield private.public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1)
    yield private.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
    for form in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
        yield private.private_bytes(Encoding.DER, form, NoEncryption())
    yield json.dumps({"kty": "RSA", "n": "abcdefghijklmnopqrstuvwxyz", "e": "AQAB"}).encode()
    yield b' \n{"kty":"oct","k":"abcdefghijklmnopqrstuvwxyz"}'


def test_attack_4_1_05_an_encoded_key_is_refused_as_a_secret():
    for data in public_keys():
        with pytest.raises(InvalidKeyError, match="of another kind"):
            Hs256Key.from_bytes(data)


@pytest.mark.parametrize("secret", ["x" * 64, bytearray(SECRET), memoryview(SECRET), None, 32])
def test_a_key_is_made_of_bytes(secret):
    with pytest.raises(InvalidKeyError, match="made of bytes"):
        Hs256Key.from_bytes(secret)


def test_generated_keys_differ_and_are_never_refused():
    keys = [Hs256Key.generate() for _ in range(2_000)]
    assert len({key.kid for key in keys}) == 2_000
    assert all(len(key.unsafe_secret()) == 32 for key in keys)


def test_the_name_is_the_thumbprint_of_rfc_7638():
    assert Hs256Key.from_bytes(SECRET).kid == OctKey.import_key(SECRET).thumbprint()


def test_equal_secrets_are_equal_keys():
    assert Hs256Key.from_bytes(SECRET) == Hs256Key.from_bytes(SECRET)
    assert len({Hs256Key.from_bytes(SECRET), Hs256Key.from_bytes(SECRET)}) == 1
    assert Hs256Key.from_bytes(SECRET) != Hs256Key.generate()
    assert Hs256Key.from_bytes(SECRET) != SECRET


def test_attack_4_1_19_a_key_shows_its_name_and_never_its_secret():
    key = Hs256Key.from_bytes(DIGITS)
    for text in (repr(key), str(key), f"{key}", repr([key]), repr({"key": key})):
        assert DIGITS.decode() not in text
        assert key.kid in text
    assert not hasattr(key, "__dict__")


@pytest.mark.parametrize("copier", [pickle.dumps, copy.copy, copy.deepcopy])
def test_attack_4_1_19_a_key_is_neither_pickled_nor_copied(copier):
    with pytest.raises(TypeError) as caught:
        copier(Hs256Key.from_bytes(DIGITS))
    assert DIGITS.decode() not in "".join(traceback.format_exception(caught.value))


@given(st.binary(max_size=80))
def test_attack_4_1_20_bytes_are_a_key_or_refused_without_being_shown(data):
    try:
        Hs256Key.from_bytes(data)
    except InvalidKeyError as error:
        shown = "".join(traceback.format_exception(error))
        assert len(data) < 8 or repr(data)[2:-1] not in shown
