import copy
import pickle

import pytest

from toka.capability.core import decode_base64url, encode_base64url
from toka.capability.jwt_hs256 import Hs256Key
from toka.key_rotation import InvalidKeyRingError, KeyAlgorithm, RingKey, thumbprint

ALL = pytest.mark.parametrize("algorithm", list(KeyAlgorithm))


@ALL
def test_a_signature_is_verified_and_nothing_else_is(algorithm):
    key = RingKey.generate(algorithm)
    signature = key.sign(b"message")
    assert len(signature) == (32 if algorithm is KeyAlgorithm.HS256 else 64)
    assert key.verify(b"message", signature)
    assert not key.verify(b"Message", signature)
    assert not RingKey.generate(algorithm).verify(b"message", signature)
    for wrong in (b"", signature[:-1], signature + b"\0", bytes(len(signature))):
        assert not key.verify(b"message", wrong)


@ALL
def test_the_secret_makes_the_key_again(algorithm):
    key = RingKey.generate(algorithm)
    again = RingKey(algorithm, key.unsafe_secret())
    assert again == key
    assert again.kid == key.kid
    assert hash(again) == hash(key)
    assert again.verify(b"message", key.sign(b"message"))


@ALL
def test_no_secret_gets_out(algorithm):
    key = RingKey.generate(algorithm)
    assert repr(key) == f"<RingKey {algorithm.value} kid={key.kid}>"
    for leak in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            leak(key)


@ALL
@pytest.mark.parametrize("secret", [b"", b"a" * 31, b"a" * 32, bytes(32), b"\xff" * 32, b"ab" * 17])
def test_bytes_that_are_no_secret_are_refused(algorithm, secret):
    with pytest.raises(InvalidKeyRingError):
        RingKey(algorithm, secret)


def test_an_integer_above_the_order_is_no_private_key_of_p256():
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    with pytest.raises(InvalidKeyRingError):
        RingKey(KeyAlgorithm.ES256, order.to_bytes(32, "big"))


def test_the_name_is_that_of_the_same_key_elsewhere_in_the_family():
    key = RingKey.generate(KeyAlgorithm.HS256)
    assert key.kid == Hs256Key.from_bytes(key.unsafe_secret()).kid


def test_the_thumbprint_of_rfc_8037():
    jwk = {"crv": "Ed25519", "kty": "OKP", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
    assert thumbprint(jwk) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    secret = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    assert RingKey(KeyAlgorithm.EDDSA, secret).public_jwk() == jwk


def test_the_signature_of_rfc_8037():
    secret = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    signed = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
    signature = RingKey(KeyAlgorithm.EDDSA, secret).sign(signed)
    assert signature.hex().startswith("860c98d2297f3060a33f42739672d61b53cf3adefed3d3c6")


def test_es256_verifies_as_joserfc_signs_and_the_other_way_round():
    from joserfc import jws  # noqa: PLC0415 - a second opinion, for this test
    from joserfc.jwk import ECKey  # noqa: PLC0415 - see above

    key = RingKey.generate(KeyAlgorithm.ES256)
    jwk = key.public_jwk()
    assert jwk is not None
    public = ECKey.import_key({**jwk})
    header = "eyJhbGciOiJFUzI1NiJ9"
    message = f"{header}.{encode_base64url(b'payload')}"
    token = f"{message}.{encode_base64url(key.sign(message.encode()))}"
    assert jws.deserialize_compact(token, public, algorithms=["ES256"]).payload == b"payload"
    private = ECKey.import_key({**jwk, "d": encode_base64url(key.unsafe_secret())})
    signed = jws.serialize_compact({"alg": "ES256"}, b"theirs", private)
    signature = decode_base64url(signed.rpartition(".")[2])
    assert key.verify(signed.rpartition(".")[0].encode(), signature)
