import base64
import hashlib
import hmac
import json
import zlib
from pathlib import Path

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toka.revocation import (
    INVALID,
    SUSPENDED,
    StatusList,
    StatusListCheck,
    StatusListError,
    read_status_list,
    sign_status_list,
)

VECTORS = json.loads((Path(__file__).parent / "status_list_vectors.json").read_text())
SUBJECT = "https://status.example/1"


class Mac:
    """A key as tests need it."""

    kid, algorithm = "k1", "HS256"

    def sign(self, message):
        return hmac.digest(b"s" * 32, message, hashlib.sha256)

    def verify(self, message, signature):
        return hmac.compare_digest(self.sign(message), signature)


KEYS = {"k1": Mac()}


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: f"{vector['bits']}-bit")
def test_the_draft_s_vectors_are_read_exactly(vector):
    found = StatusList.decode(vector["lst"], bits=vector["bits"])
    assert len(found) == 2**20
    expected = {int(index): status for index, status in vector["status"].items()}
    assert {index: found[index] for index in range(2**20) if found[index]} == {
        index: status for index, status in expected.items() if status
    }


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: f"{vector['bits']}-bit")
def test_the_draft_s_vectors_are_written_exactly(vector):
    made = StatusList(2**20, bits=vector["bits"])
    for index, status in vector["status"].items():
        made.set(int(index), status)
    assert zlib.decompress(_plain(made.encode())) == zlib.decompress(_plain(vector["lst"]))


def _plain(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_the_bytes_of_the_draft_s_short_examples():
    assert [StatusList.decode("eNrbuRgAAhcBXQ", bits=1)[i] for i in range(16)] == [
        *[1, 0, 0, 1, 1, 1, 0, 1],
        *[1, 1, 0, 0, 0, 1, 0, 1],
    ]
    two = StatusList.decode("eNo76fITAAPfAgc", bits=2)
    assert [two[i] for i in range(12)] == [1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3]


@given(st.sampled_from([1, 2, 4, 8]), st.dictionaries(st.integers(0, 999), st.integers(0, 255)))
def test_what_is_set_is_what_is_read(bits, statuses):
    made = StatusList(1_000, bits=bits)
    for index, status in statuses.items():
        made.set(index, status % 2**bits)
    again = StatusList.decode(made.encode(), bits=bits)
    assert len(again) == len(made) >= 1_000
    assert all(again[i] == statuses.get(i, 0) % 2**bits for i in range(1_000))


def test_an_invalid_status_stays_and_a_suspended_one_may_return():
    made = StatusList(8, bits=2)
    made.set(3, SUSPENDED)
    made.set(3, 0)
    made.set(3, INVALID)
    made.set(3, INVALID)
    for status in (0, SUSPENDED, 3):
        with pytest.raises(StatusListError):
            made.set(3, status)
    assert made[3] == INVALID


@pytest.mark.parametrize(("size", "bits"), [(0, 1), (2**24 + 1, 1), (8, 3), (8, 16), (8, 0)])
def test_a_list_out_of_range_is_refused(size, bits):
    with pytest.raises(StatusListError):
        StatusList(size, bits=bits)


def _signed(ttl=60):
    statuses = StatusList(16)
    statuses.set(5, INVALID)
    return sign_status_list(statuses, Mac(), subject=SUBJECT, issued_at=1_000, ttl_seconds=ttl)


def test_a_signed_list_is_read_until_it_is_too_old():
    found = read_status_list(_signed(), KEYS, subject=SUBJECT, now=1_059)
    assert (found.statuses[5], found.statuses[6], found.usable_until) == (INVALID, 0, 1_060)
    for moment in (999, 1_060):
        with pytest.raises(StatusListError):
            read_status_list(_signed(), KEYS, subject=SUBJECT, now=moment)


def test_a_list_of_another_address_or_key_is_refused():
    with pytest.raises(StatusListError):
        read_status_list(_signed(), KEYS, subject=SUBJECT + "0", now=1_000)
    with pytest.raises(StatusListError):
        read_status_list(_signed(), {}, subject=SUBJECT, now=1_000)


class OtherAlgorithm(Mac):
    algorithm = "EdDSA"


def test_the_key_and_not_the_header_chooses_the_algorithm():
    with pytest.raises(StatusListError):
        read_status_list(_signed(), {"k1": OtherAlgorithm()}, subject=SUBJECT, now=1_000)


@given(st.integers(0, 10_000), st.sampled_from("Aa0_.=\u00e9\0"))
def test_a_changed_character_is_refused(position, character):
    token = _signed()
    position %= len(token)
    changed = token[:position] + character + token[position + 1 :]
    if changed != token:
        with pytest.raises(StatusListError):
            read_status_list(changed, KEYS, subject=SUBJECT, now=1_000)


@given(st.text(max_size=300))
def test_any_text_is_read_or_refused(text):
    with pytest.raises(StatusListError):
        read_status_list(text, KEYS, subject=SUBJECT, now=1_000)


@given(st.binary(max_size=200), st.sampled_from([1, 2, 4, 8]))
def test_any_bytes_are_read_or_refused(data, bits):
    packed = base64.urlsafe_b64encode(data).rstrip(b"=").decode()
    try:
        StatusList.decode(packed, bits=bits)
    except StatusListError:
        return
    assert zlib.decompress(data)


def test_an_offline_node_answers_by_index_and_refuses_what_it_cannot_tell(clock, claims):
    statuses = StatusList(16, bits=2)
    statuses.set(5, INVALID)
    statuses.set(6, SUSPENDED)
    indexes = {"t1": 5, "t2": 6, "t3": 7, "t4": 99, "t5": -1, "t7": True, "t8": "5", "t9": 5.0}

    def sign():
        token = sign_status_list(
            statuses, Mac(), subject=SUBJECT, issued_at=clock.wall, ttl_seconds=60
        )
        return read_status_list(token, KEYS, subject=SUBJECT, now=clock.wall)

    first = sign()
    check = StatusListCheck(first, clock, lambda claims: indexes.get(claims.token_id))
    answers = {}
    for token_id in [*indexes, "t6"]:
        denial = check.denial(attrs.evolve(claims, token_id=token_id))
        answers[token_id] = denial and denial.code
    revoked, unknown = "capability.revoked", "capability.revocation_unknown"
    assert list(answers.values()) == [revoked, revoked, None, *[unknown] * 6]
    claims = attrs.evolve(claims, token_id="t3")  # noqa: S106 - a name
    clock.advance(60)
    assert (check.epoch, check.denial(claims) is None) == (-1, False)
    check.replace(sign())
    assert (check.epoch, check.denial(claims)) == (1, None)
    with pytest.raises(StatusListError):
        check.replace(first)
