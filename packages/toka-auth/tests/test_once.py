import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import attrs
import pytest

from toka.auth import (
    AuthenticationError,
    Authenticator,
    MemoryUsedTokens,
    SqliteUsedTokens,
    UsedTokensError,
)
from toka.capability.core import ExpiresAt
from toka.capability.delegation import DelegatedValidator, narrow
from toka.capability.jwt_hs256 import JwtHs256Issuer, JwtHs256Validator

NOW = 1_795_000_000


@pytest.fixture(params=["memory", "sqlite"])
def used(request, tmp_path, clock):
    if request.param == "memory":
        yield MemoryUsedTokens(clock)
    else:
        with SqliteUsedTokens(tmp_path / "used.sqlite", clock) as used:
            yield used


@pytest.fixture
def authenticator(key, clock, used):
    return Authenticator([JwtHs256Validator([key], clock)], clock, once=used)


def test_attack_4_1_18_a_token_is_used_once(authenticator, token):
    assert authenticator.authenticate_once(token).subject == "alice"
    for _ in range(3):
        with pytest.raises(AuthenticationError):
            authenticator.authenticate_once(token)


def test_attack_4_1_18_what_was_narrowed_from_a_token_counts_once_with_it(
    key, clock, used, token, monkeypatch
):
    monkeypatch.setattr("toka.auth._once.PURGE_EVERY", 4)
    validator = DelegatedValidator(JwtHs256Validator([key], clock))
    authenticator = Authenticator([validator], clock, once=used)
    short = narrow(token, "bob", [ExpiresAt(NOW + 10)])
    children = [short, *[narrow(token, f"bob{number}") for number in range(5)], token]
    assert authenticator.authenticate_once(short).subject == "bob"
    clock.advance(200)  # What was used has expired, and its root has not.
    for child in [*children, *children]:
        with pytest.raises(AuthenticationError):
            authenticator.authenticate_once(child)


def test_attack_4_1_18_a_token_that_fails_otherwise_is_not_used_up(
    key, clock, claims, authenticator, used
):
    future = attrs.evolve(claims, issued_at=NOW + 5, expires_at=NOW + 900)
    clock.advance(5)
    token = JwtHs256Issuer(key, clock).issue(future)
    other = Authenticator([JwtHs256Validator([key], clock, audience="x")], clock, once=used)
    with pytest.raises(AuthenticationError):
        other.authenticate_once(token)
    assert authenticator.authenticate_once(token)


def test_attack_4_1_18_a_token_is_remembered_to_its_last_second(used, clock, monkeypatch):
    monkeypatch.setattr("toka.auth._once.PURGE_EVERY", 4)
    end = NOW + 500 + 60
    assert used.burn("future", end)
    clock.advance(560)
    for number in range(4):
        assert used.burn(f"t{number}", end)
    assert not used.burn("future", end)
    clock.advance(1)
    for number in range(4):
        assert used.burn(f"u{number}", end + 900)
    assert used.burn("future", end)


def test_an_authenticator_without_memory_says_so(key, clock, token):
    with pytest.raises(RuntimeError, match="once"):
        Authenticator([JwtHs256Validator([key], clock)], clock).authenticate_once(token)


def test_exactly_one_of_many_threads_wins(used):
    with ThreadPoolExecutor(16) as threads:
        won = list(threads.map(lambda _: used.burn("one", NOW + 900), range(64)))
    assert won.count(True) == 1


BURN_ALL = """
import sys
from toka.auth import SqliteUsedTokens
from toka.types import SystemClock

with SqliteUsedTokens(sys.argv[1], SystemClock()) as used:
    print(*[used.burn(f"token-{number}", 10**10) for number in range(20)])
"""


def test_attack_4_1_18_exactly_one_of_several_processes_wins(tmp_path):
    command = [sys.executable, "-c", BURN_ALL, str(tmp_path / "used.sqlite")]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(4)]  # noqa: S603
    answers = [process.communicate()[0].split() for process in started]
    assert [process.returncode for process in started] == [0] * 4
    for one in zip(*answers, strict=True):
        assert one.count(b"True") == 1


def test_what_was_used_survives_the_process(tmp_path, clock):
    with SqliteUsedTokens(tmp_path / "used.sqlite", clock) as used:
        assert used.burn("t", NOW + 900)
    with SqliteUsedTokens(tmp_path / "used.sqlite", clock) as used:
        assert not used.burn("t", NOW + 900)


def test_a_file_that_cannot_be_used_is_a_named_error(tmp_path, clock):
    with pytest.raises(UsedTokensError):
        SqliteUsedTokens(tmp_path / "missing" / "used.sqlite", clock)
    (tmp_path / "text").write_text("this is no database, and long enough to be seen" * 50)
    with pytest.raises(UsedTokensError):
        SqliteUsedTokens(tmp_path / "text", clock)
