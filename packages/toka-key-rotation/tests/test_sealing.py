import copy
import os
import pickle
import stat
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toka.key_rotation import (
    KeyAlgorithm,
    KeyStoreError,
    RingKey,
    RotationPolicy,
    WrappingKey,
    WrappingKeyError,
)
from toka.key_rotation._sealing import read_ring, write_ring
from toka.key_rotation._state import begin

KEY = WrappingKey.generate()


def _ring(kind=KeyAlgorithm.HS256):
    keys = RingKey.generate(kind), RingKey.generate(kind)
    return begin(RotationPolicy(algorithm=kind), keys, 1_000)


@pytest.mark.parametrize("kind", list(KeyAlgorithm))
def test_a_ring_is_read_as_it_was_written(kind):
    state = _ring(kind)
    assert read_ring(write_ring(state, KEY), KEY) == state
    assert write_ring(state, KEY) != write_ring(state, KEY)


def test_nothing_sealed_shows_a_secret():
    state = _ring()
    sealed = write_ring(state, KEY)
    for record in state.records:
        assert record.key is not None
        assert record.key.unsafe_secret() not in sealed
        assert record.kid.encode() not in sealed


SEALED = write_ring(_ring(), KEY)


@given(st.integers(0, len(SEALED) - 1), st.integers(1, 255))
def test_a_changed_byte_anywhere_is_refused(position, change):
    changed = bytearray(SEALED)
    changed[position] ^= change
    with pytest.raises(KeyStoreError):
        read_ring(bytes(changed), KEY)


@given(st.integers(0, len(SEALED) - 1))
def test_a_part_is_refused(length):
    with pytest.raises(KeyStoreError):
        read_ring(SEALED[:length], KEY)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(data):
    with pytest.raises(KeyStoreError):
        read_ring(data, KEY)


@given(st.binary(max_size=200))
def test_any_content_under_the_right_key_is_refused(data):
    with pytest.raises(KeyStoreError) as error:
        read_ring(KEY.seal(data), KEY)
    assert error.value.__cause__ is None


def test_another_wrapping_key_is_refused():
    with pytest.raises(WrappingKeyError):
        read_ring(SEALED, WrappingKey.generate())


def test_a_wrapping_key_comes_from_the_environment_a_file_or_a_command(tmp_path, monkeypatch):
    text = KEY.unsafe_text()
    monkeypatch.setenv("TOKA_TEST_WRAPPING_KEY", text)
    path = tmp_path / "key"
    path.write_text(text + "\n")
    path.chmod(0o600)
    for key in (
        WrappingKey.from_environment("TOKA_TEST_WRAPPING_KEY"),
        WrappingKey.from_file(path),
        WrappingKey.from_command([sys.executable, "-c", f"print({text!r})"]),
    ):
        assert key.open(KEY.seal(b"data")) == b"data"


@pytest.mark.parametrize("text", ["", "short", "A" * 43, "=" * 43, "a" * 44, "\u00fc" * 43])
def test_what_is_no_wrapping_key_is_refused_and_not_quoted(text):
    with pytest.raises(WrappingKeyError) as error:
        WrappingKey.from_text(text)
    assert not text or text not in str(error.value)


def test_a_missing_wrapping_key_is_refused(tmp_path):
    with pytest.raises(WrappingKeyError):
        WrappingKey.from_environment("TOKA_TEST_NO_SUCH_VARIABLE")
    with pytest.raises(WrappingKeyError):
        WrappingKey.from_file(tmp_path / "none")
    for command in (["no-such-program"], [sys.executable, "-c", "raise SystemExit(1)"]):
        with pytest.raises(WrappingKeyError) as error:
            WrappingKey.from_command(command)
        assert error.value.__cause__ is None


def test_a_wrapping_key_that_others_can_read_is_refused(tmp_path):
    path = tmp_path / "key"
    path.write_text(KEY.unsafe_text())
    path.chmod(0o640)
    with pytest.raises(WrappingKeyError):
        WrappingKey.from_file(path)
    link = tmp_path / "link"
    link.symlink_to(path)
    with pytest.raises(WrappingKeyError):
        WrappingKey.from_file(link)


def test_a_wrapping_key_of_another_user_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "key"
    path.write_text(KEY.unsafe_text())
    path.chmod(0o600)
    assert WrappingKey.from_file(path)
    real = os.fstat

    def of_another(descriptor):
        status = list(real(descriptor))
        status[stat.ST_UID] = os.geteuid() + 1
        return os.stat_result(status)

    monkeypatch.setattr(os, "fstat", of_another)
    with pytest.raises(WrappingKeyError, match="others"):
        WrappingKey.from_file(path)


def test_no_secret_gets_out():
    assert repr(KEY) == "<WrappingKey>"
    for leak in (pickle.dumps, copy.copy):
        with pytest.raises(TypeError):
            leak(KEY)
