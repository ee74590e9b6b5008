"""The attacks on key rotation, by the numbers of the project's list (4.3)."""

import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import attrs
import pytest

from toka.capability.core import TokenRefusedError, encode_base64url
from toka.capability.jwt_hs256 import Hs256Key, JwtHs256Issuer, JwtHs256Validator
from toka.key_rotation import (
    FileStore,
    InvalidKeyRingError,
    InvalidPolicyError,
    KeyAlgorithm,
    KeyRing,
    KeyState,
    KeyStoreError,
    NoSigningKey,
    NotPublishedYet,
    RingKey,
    RingState,
    RotatingIssuer,
    RotatingValidator,
    RotationPolicy,
    SqliteStore,
    WrappingKey,
    thumbprint,
)

DAY = 86_400


def _hs256(key):
    return Hs256Key.from_bytes(key.unsafe_secret())


@pytest.fixture
def issuer(ring, clock):
    return RotatingIssuer(ring, lambda key: JwtHs256Issuer(_hs256(key), clock))


@pytest.fixture
def validator(ring, clock):
    return RotatingValidator(ring, lambda keys: JwtHs256Validator(map(_hs256, keys), clock))


def test_attack_4_3_01_a_grace_shorter_than_the_longest_token_is_refused():
    with pytest.raises(InvalidPolicyError, match="still valid"):
        RotationPolicy(grace=3_600)  # As the original had it, with tokens of a day.
    for missing in (1, 60, 300):
        with pytest.raises(InvalidPolicyError):
            RotationPolicy(grace=DAY + 360 - missing)
    assert RotationPolicy(grace=DAY + 360).grace == DAY + 360


def test_attack_4_3_02_a_token_signed_just_before_a_rotation_lives_its_life(
    ring, clock, issuer, validator, claims_at
):
    clock.advance(99)
    token = issuer.issue(claims_at(clock.wall))
    first = ring.signing_key()
    clock.advance(1)
    ring.rotate()
    clock.advance(898)
    assert validator.validate(token).subject == "alice"
    clock.advance(1)
    with pytest.raises(TokenRefusedError):  # It expired; its key still verifies.
        validator.validate(token)
    assert first in ring.verification_keys()
    clock.advance(100)
    assert first in ring.verification_keys()
    clock.advance(1)
    assert (
        first not in ring.verification_keys()
    )  # A second after retiring, though nobody tidied up.


def test_attack_4_3_03_two_rotations_inside_the_grace_keep_the_first_key(
    ring, clock, issuer, validator, claims_at
):
    token = issuer.issue(claims_at(clock.wall))
    for _ in range(2):
        clock.advance(100)
        ring.rotate()
    assert ring.state.active.generation == 3
    assert validator.validate(token).subject == "alice"


def test_attack_4_3_04_fifty_threads_make_one_new_key(ring, clock):
    clock.advance(100)
    barrier = threading.Barrier(50)

    def rotate():
        barrier.wait()
        try:
            return ring.rotate()
        except NotPublishedYet:  # Began after another had ended: to rotate again is too soon.
            return ring.state

    with ThreadPoolExecutor(50) as pool:
        results = [future.result() for future in [pool.submit(rotate) for _ in range(50)]]
    assert {result.active.generation for result in results} == {2}
    assert [record.generation for record in ring.state.records] == [1, 2, 3]


_FORKING = """
import os, random, signal, sys, time
from toka.key_rotation import FileStore, KeyRing, KeyState, RotationPolicy, SqliteStore, WrappingKey
from toka.types import SystemClock
from cryptography.hazmat.primitives.ciphers import aead  # before forking

kind, path, text = sys.argv[1:4]
policy, clock, wrapping = RotationPolicy(), SystemClock(), WrappingKey.from_text(text)
os.umask(0o077)

def opened():
    make = FileStore if kind == "file" else SqliteStore
    return KeyRing.create(make(path, wrapping), policy, clock, audit=lambda event: None)

def fork(work):
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    return child

def check(seen):
    state = opened().state
    generations = [record.generation for record in state.records]
    assert generations == list(range(1, len(generations) + 1)), generations
    assert sum(record.state is KeyState.ACTIVE for record in state.records) == 1
    by_kid = {record.kid: record for record in state.records}
    for kid in seen:
        assert by_kid[kid].verifies, "a key that was handed out is lost"
    return state
"""

_EIGHT = (
    _FORKING
    + """
ready, go = os.pipe()
waiting, waits = os.pipe()
def work():
    ring = opened()
    os.write(waits, b"x")
    os.read(ready, 1)
    ring.rotate(emergency=True)
opened()
children = [fork(work) for _ in range(8)]
for _ in children:
    os.read(waiting, 1)  # Whoever opened the ring later would rotate what the others made.
os.write(go, b"x" * 8)
for child in children:
    os.waitpid(child, 0)
state = check([])
assert state.generation == 3, state.generation
print("ok")
"""
)

_KILLED = (
    _FORKING
    + """
WRITES = {"open", "write", "fsync", "replace", "rename", "fchmod", "flock", "close", "unlink",
          "fdopen", "flush", "execute", "connect"}

def dying(number):
    def work():
        ring = opened()
        left = number
        def profile(frame, event, call):
            nonlocal left
            if event in ("c_call", "c_return") and call.__name__ in WRITES:
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.setprofile(profile)
        ring.rotate(emergency=True)
    return work

opened()
number = died = 0
while True:
    number += 1
    before = check([]).active.kid
    status = os.waitpid(fork(dying(number)), 0)[1]
    check([before])
    if not os.WIFSIGNALED(status):
        break
    died += 1
assert died > 6, died

# And at moments that nobody chose, inside of whatever takes long.
random.seed(20261121)
for _ in range(25):
    said, say = os.pipe()
    def work():
        ring = opened()
        while True:
            os.write(say, ring.signing_key().kid.encode() + b"\\n")
            ring.rotate(emergency=True)
    child = fork(work)
    os.close(say)
    time.sleep(random.uniform(0.005, 0.04))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with os.fdopen(said, "rb") as file:
        check([line.decode() for line in file.read().splitlines()])
print("ok", died)
"""
)


def _run(script, kind, path):
    text = WrappingKey.generate().unsafe_text()
    command = [sys.executable, "-W", "error", "-c", script, kind, str(path), text]
    ran = subprocess.run(command, capture_output=True, check=False, timeout=60)  # noqa: S603
    assert ran.stdout.startswith(b"ok"), ran.stderr.decode()


@pytest.mark.parametrize("kind", ["file", "sqlite"])
def test_attack_4_3_04_eight_processes_make_one_new_key(kind, tmp_path):
    _run(_EIGHT, kind, tmp_path / "ring")


@pytest.mark.parametrize("kind", ["file", "sqlite"])
def test_attack_4_3_05_a_kill_at_each_write_leaves_one_active_key_and_loses_none(kind, tmp_path):
    _run(_KILLED, kind, tmp_path / "ring")


@pytest.fixture
def path(tmp_path, wrapping, policy, clock):
    path = tmp_path / "keys" / "ring"
    KeyRing.create(FileStore(path, wrapping), policy, clock)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    return path


def _torn(path):
    path.write_bytes(path.read_bytes()[:-1])


def _emptied(path):
    path.write_bytes(b"")


def _foreign(path):
    path.write_bytes(b"-----BEGIN PRIVATE KEY-----\n")


def _open_to_others(path):
    path.chmod(0o644)


def _linked(path):
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


def _piped(path):
    path.unlink()
    os.mkfifo(path, 0o600)


def _huge(path):
    with path.open("ab") as file:
        file.truncate(2**30)


@pytest.mark.parametrize(
    "spoil", [_torn, _emptied, _foreign, _open_to_others, _linked, _piped, _huge]
)
def test_attack_4_3_06_a_spoilt_file_refuses_to_start_and_is_not_replaced(
    path, wrapping, policy, clock, spoil
):
    spoil(path)
    before = path.lstat()
    for start in (KeyRing, KeyRing.create):
        with pytest.raises(KeyStoreError):
            start(FileStore(path, wrapping), policy, clock)
    assert path.lstat() == before or spoil is _piped


def test_attack_4_3_06_a_file_of_another_owner_is_refused(
    path, wrapping, policy, clock, monkeypatch
):
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    with pytest.raises(KeyStoreError, match="belongs to"):
        KeyRing(FileStore(path, wrapping), policy, clock)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")  # noqa: PTH110
def test_attack_4_3_06_a_full_disk_leaves_the_old_ring(path, wrapping, policy, clock, monkeypatch):
    ring = KeyRing(FileStore(path, wrapping), policy, clock)
    before = path.read_bytes()
    real = os.open

    def full(name, flags, *mode):
        target = "/dev/full" if flags & os.O_EXCL else name
        return real(
            target, flags & ~(os.O_EXCL | os.O_CREAT) if flags & os.O_EXCL else flags, *mode
        )

    monkeypatch.setattr(os, "open", full)
    monkeypatch.setattr(os, "fchmod", lambda *_: None)
    with pytest.raises(KeyStoreError, match="No space"):
        ring.rotate(emergency=True)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["ring", "ring.lock"]
    assert ring.state.generation == 2


def test_attack_4_3_06_a_foreign_database_is_refused(tmp_path, wrapping):
    import sqlite3  # noqa: PLC0415 - only to make something foreign

    path = tmp_path / "x.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE precious (id)")
    connection.close()
    with pytest.raises(KeyStoreError):
        SqliteStore(path, wrapping)


def test_attack_4_3_07_a_tainted_key_s_tokens_are_refused_at_once(
    ring, clock, issuer, validator, claims_at
):
    token = issuer.issue(claims_at(clock.wall))
    kid = ring.signing_key().kid
    assert validator.validate(token).subject == "alice"
    ring.taint(kid)
    with pytest.raises(TokenRefusedError):
        validator.validate(token)
    for _ in range(5):
        clock.advance(3_600)
        ring.maintain()
    record = ring.find(kid)
    assert record is not None
    assert (record.state, record.key) == (KeyState.TAINTED, None)
    assert ring.signing_key().kid != kid


def _walk(value):
    if isinstance(value, dict):
        yield from value
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _walk(each)


def test_attack_4_3_08_no_private_member_is_ever_published(tmp_path, wrapping, clock):
    for kind in KeyAlgorithm:
        store = FileStore(tmp_path / kind.value, wrapping)
        ring = KeyRing.create(store, RotationPolicy(algorithm=kind), clock)
        published = json.loads(json.dumps(ring.jwks()))
        assert not {"k", "d", "p", "q", "dp", "dq", "qi", "oth"} & set(_walk(published))
        for key in ring.verification_keys():
            assert encode_base64url(key.unsafe_secret()) not in json.dumps(published)
        assert len(published["keys"]) == (0 if kind is KeyAlgorithm.HS256 else 2)


def test_attack_4_3_09_keys_that_do_not_belong_together_are_refused(ring):
    first, second = ring.state.records
    public = RingKey.generate(KeyAlgorithm.EDDSA)
    for records in (
        (first, attrs.evolve(first, generation=2, state=KeyState.PREPARED)),  # one material
        (first, attrs.evolve(second, kid=first.kid)),  # one name
        (first, attrs.evolve(second, key=public, kid=public.kid, kind=public.kind)),  # two families
    ):
        with pytest.raises(InvalidKeyRingError):
            RingState(records)


def test_attack_4_3_10_a_flood_of_unknown_keys_costs_one_look_a_second(
    ring, clock, validator, monkeypatch
):
    looks = []
    real = ring._store

    class Counting:
        def mark(self):
            looks.append(clock.mono)
            return real.mark()

        def load(self):
            looks.append(clock.mono)
            return real.load()

    monkeypatch.setattr(ring, "_store", Counting())
    built = validator._validator()
    for second in range(3):
        for number in range(2_000):
            header = {"alg": "HS256", "kid": f"{second}-{number}", "typ": "toka.cap+jwt"}
            token = f"{encode_base64url(json.dumps(header).encode())}.e30.{'A' * 43}"
            with pytest.raises(TokenRefusedError):
                validator.validate(token)
        clock.advance(1)
    assert len(looks) <= 3
    assert validator._validator() is built


def test_attack_4_3_10_an_unreadable_store_serves_for_a_bounded_time(ring, clock, monkeypatch):
    class Gone:
        def mark(self):
            raise KeyStoreError("gone")

    monkeypatch.setattr(ring, "_store", Gone())
    clock.advance(300)
    assert ring.verification_keys()
    clock.advance(1)
    with pytest.raises(KeyStoreError):
        ring.verification_keys()
    with pytest.raises(KeyStoreError):
        ring.signing_key()


@pytest.mark.parametrize("step", [-DAY, DAY])
def test_attack_4_3_11_a_stepped_clock_makes_no_second_key_and_revives_none(
    ring, clock, heard, step
):
    clock.advance(100)
    ring.rotate()
    old = ring.state.records[0]
    clock.advance(500)
    ring.maintain()
    heard.clear()
    clock.wall += step
    state = ring.maintain()
    assert sum(record.state is KeyState.ACTIVE for record in state.records) == 1
    if step < 0:
        assert state.records[1].state is KeyState.ACTIVE
        assert old.key in ring.verification_keys()  # Not revived: its grace still lasts.
    else:
        # A jump forward ends graces early, and says so.
        assert state.records[0].state is KeyState.RETIRED
        assert "keys_cleaned_up" in [event.kind.value for event in heard]
        clock.wall -= step
        assert old.key not in ring.verification_keys()


def test_attack_4_3_11_a_key_out_of_date_never_signs(ring, clock):
    clock.wall += 10 * DAY
    with pytest.raises(NoSigningKey):
        ring.signing_key()


def test_attack_4_3_12_an_audit_that_raises_leaves_a_whole_step(store, policy, clock):
    def broken(event):
        raise RuntimeError(event.kind.value)

    ring = KeyRing.create(store, policy, clock, audit=lambda _: None)
    ring._audit = broken
    with pytest.raises(RuntimeError):
        ring.rotate(emergency=True)
    assert ring.state.generation == 3
    assert KeyRing(store, policy, clock).state == ring.state


def test_attack_4_3_12_a_step_that_raises_leaves_nothing(ring, store, monkeypatch):
    before = store.load()
    monkeypatch.setattr(
        RingKey, "generate", classmethod(lambda *_: (_ for _ in ()).throw(OSError("no entropy")))
    )
    with pytest.raises((OSError, KeyStoreError)):
        ring.rotate(emergency=True)
    monkeypatch.undo()
    assert store.load() == before == ring.state


def test_attack_4_3_13_the_thumbprint_of_rfc_7638_is_exact():
    modulus = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWK"
        "RXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAt"
        "aSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPks"
        "INHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
    )
    jwk = {"e": "AQAB", "kty": "RSA", "n": modulus}
    assert thumbprint(jwk) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_attack_4_3_14_names_of_keys_neither_follow_one_another_nor_return(ring, clock):
    names = set()
    for _ in range(20):
        clock.advance(3_600)
        state = ring.maintain()
        assert state.active.kid not in names
        names.add(state.active.kid)
    assert len(names) == 20
    assert {len(name) for name in names} == {43}
    used = ring.state.find(min(names))
    assert used is not None  # Its name is still known, so it cannot come back.
