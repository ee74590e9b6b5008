"""The attacks on revocation, by the numbers of the project's list (4.5)."""

import base64
import os
import shutil
import signal
import subprocess
import sys
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor

import attrs
import pytest

from toka.auth import AuthenticationError, Authenticator
from toka.capability.jwt_hs256 import Hs256Key, JwtHs256Issuer, JwtHs256Validator
from toka.revocation import (
    InvalidRevocationError,
    MemoryLog,
    Revocation,
    RevocationIndex,
    Revocations,
    RevocationsRolledBack,
    RevocationUnavailable,
    SqliteLog,
    StatusList,
    StatusListError,
)

pytestmark = pytest.mark.anyio
DAY = 86_400
UUID = "0f8fad5b-d9cb-469f-a165-70867728950e"


async def test_attack_4_5_01_an_earlier_time_does_not_bring_a_token_back(log, clock, claims):
    node = await Revocations.open(log, clock)
    for later, earlier in (
        (
            Revocation.of_token("t1", expires_at=clock.wall + DAY),
            Revocation.of_token("t1", expires_at=0),
        ),
        (
            Revocation.of_subject("default", "alice", issued_until=clock.wall),
            Revocation.of_subject("default", "alice", issued_until=0),
        ),
        (Revocation.of_key("k1"), Revocation.of_key("k1", issued_until=0)),
    ):
        index = RevocationIndex()
        for revocation in (later, earlier):
            index.add(revocation, clock.wall)
            await node.revoke(revocation)
        assert index.find(claims) is not None
    clock.advance(800)
    await node.forget()
    assert node.denial(claims) is not None
    assert (await Revocations.open(log, clock)).denial(claims) is not None


async def test_attack_4_5_01_an_earlier_expiry_shortens_no_memory(log, clock, claims):
    node = await Revocations.open(log, clock)
    await node.revoke(Revocation.of_token("t1", expires_at=clock.wall + 30 * DAY))
    await node.revoke(Revocation.of_token("t1", expires_at=0))
    clock.advance(3 * DAY)
    await node.forget()
    long_lived = attrs.evolve(claims, expires_at=clock.wall + 27 * DAY)
    assert node.denial(long_lived) is not None
    assert (await Revocations.open(log, clock)).denial(long_lived) is not None


async def test_attack_4_5_02_revoking_what_nobody_knows_tells_nothing(log, clock):
    node = await Revocations.open(log, clock)
    first = await node.revoke(Revocation.of_token("known"))
    second = await node.revoke(Revocation.of_token("unknown"))
    assert second == first + 1  # Nothing but a number, whatever there is by that name.


async def test_attack_4_5_03_a_vault_cannot_take_back_what_is_of_another(log, clock, claims):
    node = await Revocations.open(log, clock)
    await node.revoke(Revocation.of_subject("mallory", "alice", issued_until=clock.wall))
    assert node.denial(claims) is None


async def test_attack_4_5_04_after_revoke_returns_no_verification_accepts(log, clock, claims):
    key = Hs256Key.generate()
    token = JwtHs256Issuer(key, clock).issue(claims)
    node = await Revocations.open(log, clock)
    authenticator = Authenticator(
        [JwtHs256Validator([key], clock)], clock, revoked=node, audit=lambda _: None
    )
    returned = threading.Event()
    late = []

    def verify():
        for _ in range(1_000):
            # Read before verifying: what begins after the return must refuse.
            began_after = returned.is_set()
            try:
                authenticator.authenticate(token)
            except AuthenticationError:
                return
            if began_after:
                late.append(token)

    with ThreadPoolExecutor(4) as pool:
        for _ in range(4):
            pool.submit(verify)
        await node.revoke(Revocation.of_token("t1"))
        returned.set()
        with pytest.raises(AuthenticationError):
            authenticator.authenticate(token)
    assert not late


class Dead(MemoryLog):
    dead = False

    async def append(self, revocation, now):
        if self.dead:
            raise RevocationUnavailable("gone")
        return await super().append(revocation, now)

    async def read(self, after):
        if self.dead:
            raise RevocationUnavailable("gone")
        return await super().read(after)


async def test_attack_4_5_05_a_dead_store_refuses_and_does_not_pretend(clock, claims):
    log = Dead()
    node = await Revocations.open(log, clock)
    log.dead = True
    with pytest.raises(RevocationUnavailable):
        await node.revoke(Revocation.of_token("t1"))
    assert (await node.check(claims, max_staleness_seconds=0)).denial is not None
    clock.advance(11)
    assert node.denial(claims) is not None
    with pytest.raises(RevocationUnavailable):
        await Revocations.open(log, clock)


async def test_attack_4_5_06_what_was_forgotten_is_not_revived_by_leeway_or_a_clock_set_back(
    log, clock, claims
):
    node = await Revocations.open(log, clock)
    await node.revoke(Revocation.of_token("t1", expires_at=claims.expires_at))
    await node.revoke(Revocation.of_token("last", expires_at=claims.expires_at))
    longest = attrs.evolve(claims, expires_at=claims.issued_at + DAY)
    for _ in range(26 * 60):
        clock.advance(60)
        await node.forget()
        await node.refresh()
        # As long as any validator's leeway lets it pass, it is refused here.
        if clock.wall < longest.expires_at + 60:
            assert node.denial(longest) is not None
    assert len(node) < 2
    clock.wall -= 2 * DAY
    assert node.denial(longest) is not None
    if isinstance(log, SqliteLog):  # A new process has the floor from the file.
        fresh = await Revocations.open(log, clock)
        assert fresh.denial(longest) is not None


async def test_attack_4_5_06_what_may_live_for_ever_is_never_forgotten(log, clock, claims):
    node = await Revocations.open(log, clock)
    await node.revoke(Revocation.of_token("api-key/1"))
    await node.revoke(Revocation.of_token("last", expires_at=claims.expires_at))
    for _ in range(400):
        clock.advance(DAY)
        await node.forget()
        await node.refresh()
    later = attrs.evolve(claims, issued_at=clock.wall, expires_at=clock.wall + 900)
    named = attrs.evolve(later, token_id="api-key/1")  # noqa: S106 - a name
    assert node.denial(named) is not None
    assert node.denial(later) is None
    assert (await Revocations.open(log, clock)).denial(named) is not None


async def test_attack_4_5_07_spellings_of_one_identifier_are_one(log, clock, claims):
    spellings = [UUID.upper(), f"{{{UUID}}}", f"urn:uuid:{UUID}", UUID.replace("-", ""), UUID]
    for revoked in spellings:
        node = await Revocations.open(MemoryLog(), clock)
        await node.revoke(Revocation.of_token(revoked))
        for presented in spellings:
            assert node.denial(attrs.evolve(claims, token_id=presented)) is not None
    node = await Revocations.open(log, clock)
    for bad in (5, None, b"t1", "", "t1\n", "t\u200b1", "e\u0301"):
        with pytest.raises(InvalidRevocationError):
            await node.revoke(Revocation.of_token(bad))  # pyright: ignore[reportArgumentType] - bad
    # What cannot be revoked is not accepted either.
    assert node.denial(attrs.evolve(claims, token_id="t\u200b1")) is not None  # noqa: S106


_MILLION = """
import resource, sys, time
from toka.capability.core import Claims
from toka.revocation import RevocationIndex
from toka.revocation._revocation import Kind, Revocation
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
index = RevocationIndex()
def look(count):
    claims = [Claims("s", "v", (), 1, 2, f"01JABCDEFGHJKMNPQRSTVW{n:08d}") for n in range(1_000)]
    best = 9.0
    for _ in range(5):
        began = time.process_time()
        for each in claims:
            index.find(each)
        best = min(best, time.process_time() - began)
    return best
def revoke(first, last):
    add, token = index.add, Kind.TOKEN
    for n in range(first, last):  # Not by `of_token`, whose checks take as long as the index.
        add(Revocation(token, f"01JABCDEFGHJKMNPQRSTVW{n:08d}", expires_at=1), 1_795_000_000 + n)
revoke(0, 1_000)
few = look(1_000)
revoke(1_000, 1_000_000)
many = look(1_000_000)
grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1_024
print(len(index), grown, many / few)
"""


def test_attack_4_5_08_a_million_entries_take_less_than_200_megabytes_and_one_look_up():
    ran = subprocess.run(  # noqa: S603 - ourselves
        [sys.executable, "-c", _MILLION], capture_output=True, check=True, timeout=120
    )
    count, megabytes, ratio = ran.stdout.split()
    assert int(count) == 1_000_000
    assert int(megabytes) < 200
    assert float(ratio) < 5  # A thousand times as many; noise and caches apart, the same.


async def test_attack_4_5_08_an_identifier_that_was_revoked_is_never_called_live(
    log, clock, claims
):
    node = await Revocations.open(log, clock)
    names = [f"t{index}" for index in range(0, 300, 3)]
    for name in names:
        await node.revoke(Revocation.of_token(name))
    for index in range(300):
        denial = node.denial(attrs.evolve(claims, token_id=f"t{index}"))
        assert (denial is not None) == (index % 3 == 0)


async def test_attack_4_5_09_a_cut_off_includes_its_second_and_spares_what_comes_after(
    log, clock, claims
):
    cut = claims.issued_at
    for revocation in (
        Revocation.of_subject("default", "alice", issued_until=cut),
        Revocation.of_key("k1", issued_until=cut),
        Revocation.of_everything(issued_until=cut),
    ):
        node = await Revocations.open(MemoryLog(), clock)
        await node.revoke(revocation)
        assert node.denial(attrs.evolve(claims, issued_at=cut - 1)) is not None
        assert node.denial(claims) is not None
        assert node.denial(attrs.evolve(claims, issued_at=cut + 1)) is None
        await log.append(revocation, clock.wall)
    assert (await Revocations.open(log, clock)).denial(claims) is not None


async def test_attack_4_5_09_a_revoked_hop_takes_its_subtree_and_nothing_else(log, clock, chained):
    root, bob, carol = chained
    hops = (root.chain[0], attrs.evolve(bob.chain[1], token_id="h9"))  # noqa: S106 - a name
    sibling = attrs.evolve(bob, token_id="h9", chain=hops)  # noqa: S106 - a name
    node = await Revocations.open(log, clock)
    await node.revoke(Revocation.of_token("h1"))
    assert node.denial(root) is None
    assert node.denial(sibling) is None
    for below in (bob, carol):
        denial = node.denial(below)
        assert denial is not None
        assert denial.hop == 1
    other = await Revocations.open(MemoryLog(), clock)
    await other.revoke(Revocation.of_subject("default", "alice", issued_until=clock.wall))
    assert all(other.denial(each) is not None for each in chained)


def _text(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def test_attack_4_5_10_a_status_list_that_lies_is_refused():
    found = StatusList(16)
    for index in (16, -1, 2**64, 1.0, True, "1"):
        with pytest.raises(StatusListError):
            found[index]  # pyright: ignore[reportArgumentType] - some are no integers
    good = zlib.compress(bytes(4))
    bomb = zlib.compress(bytes(2**24 + 1), 9)
    for text in ("", "!", "AAAA", _text(good[:-1]), _text(good + b"x"), _text(bomb), _text(b"")):
        with pytest.raises(StatusListError):
            StatusList.decode(text, bits=1)
    for bits in (0, 3, 16, True):
        with pytest.raises(StatusListError):
            StatusList.decode(_text(good), bits=bits)


def test_attack_4_5_10_a_bomb_of_a_gigabyte_costs_no_more_than_the_cap():
    # After a full flush each block of zeros is packed to the same bytes, so one will do for all.
    packer = zlib.compressobj(9)
    first = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    again = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    packed = first + again * 1_023
    assert len(packed) < 2**21
    assert len(zlib.decompressobj().decompress(packed, 2**25)) == 2**25
    with pytest.raises(StatusListError, match="unpacks to more"):
        StatusList.decode(_text(packed), bits=1)


async def test_attack_4_5_11_a_remembered_answer_does_not_outlive_the_token(log, clock, claims):
    key = Hs256Key.generate()
    token = JwtHs256Issuer(key, clock).issue(claims)
    node = await Revocations.open(log, clock, max_staleness_seconds=None)
    authenticator = Authenticator(
        [JwtHs256Validator([key], clock)], clock, revoked=node, audit=lambda _: None
    )
    assert authenticator.authenticate(token) == claims
    clock.advance(900)
    with pytest.raises(AuthenticationError):
        authenticator.authenticate(token)


_REVOKING = """
import asyncio, sys
from toka.revocation import Revocation, Revocations, SqliteLog
from toka.types import SystemClock
async def main():
    node = await Revocations.open(SqliteLog(sys.argv[1]), SystemClock())
    for n in range(1_000_000):
        await node.revoke(Revocation.of_token(f"t{n}"))
        print(n, flush=True)
asyncio.run(main())
"""


@pytest.mark.parametrize("acknowledged", [0, 7])
async def test_attack_4_5_12_what_was_acknowledged_before_a_kill_is_revoked(tmp_path, acknowledged):
    path = tmp_path / "revoked.db"
    last = _last_acknowledged_before_a_kill(path, acknowledged)
    log = SqliteLog(path)
    names = [entry.revocation.target for entry in await log.read(0)]
    log.close()
    # Every acknowledged one is there; of the one in flight the caller knew nothing.
    assert names[: last + 1] == [f"t{n}" for n in range(last + 1)]
    assert len(names) <= last + 2


def _last_acknowledged_before_a_kill(path, wanted):
    command = [sys.executable, "-c", _REVOKING, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:  # noqa: S603 - ourselves
        assert child.stdout is not None
        for line in child.stdout:
            if int(line) == wanted:
                os.kill(child.pid, signal.SIGKILL)
                break
        return max([wanted, *map(int, child.stdout.read().splitlines())])


async def test_attack_4_5_13_a_restored_older_copy_is_found_out_and_refuses(
    tmp_path, clock, claims
):
    path, copy = tmp_path / "revoked.db", tmp_path / "old.db"
    log = SqliteLog(path)
    node = await Revocations.open(log, clock)
    await node.revoke(Revocation.of_token("a"))
    log._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(path, copy)
    revision = await node.revoke(Revocation.of_token("t1"))
    old = SqliteLog(copy)
    with pytest.raises(RevocationsRolledBack):
        await Revocations.open(old, clock, at_least=revision)
    node._log = old
    # The old copy grows past what was known: still not the same history.
    await old.append(Revocation.of_token("b"), clock.wall)
    await old.append(Revocation.of_token("c"), clock.wall)
    with pytest.raises(RevocationsRolledBack):
        await node.refresh()
    unrelated = attrs.evolve(claims, token_id="fine")  # noqa: S106 - a name
    assert node.denial(unrelated) is not None
    assert node.epoch == -1
    assert (await node.check(unrelated)).denial is not None
    log.close()
    old.close()
