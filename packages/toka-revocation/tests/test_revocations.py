import anyio
import anyio.lowlevel
import attrs
import pytest

from toka.auth import AuthenticationError, Authenticator
from toka.capability.jwt_hs256 import Hs256Key, JwtHs256Issuer, JwtHs256Validator
from toka.revocation import (
    MARGIN_SECONDS,
    MemoryLog,
    Revocation,
    Revocations,
    RevocationsRolledBack,
    RevocationUnavailable,
    SqliteLog,
)

pytestmark = pytest.mark.anyio
DAY = 86_400


class Flaky(MemoryLog):
    """A log that a test can switch off."""

    down = False

    async def read(self, after):
        if self.down:
            raise RevocationUnavailable("gone")
        return await super().read(after)


async def _until(condition):
    while not condition():
        await anyio.lowlevel.checkpoint()


async def test_each_kind_of_revocation_takes_back_what_it_names(log, clock, claims):
    other = attrs.evolve(claims, token_id="t2", subject="bob", vault="v2", key_id="k2")  # noqa: S106
    for revocation in (
        Revocation.of_token("t1", reason="lost laptop"),
        Revocation.of_subject("default", "alice", issued_until=claims.issued_at),
        Revocation.of_key("k1"),
    ):
        node = await Revocations.open(MemoryLog(), clock)
        assert node.denial(claims) is None
        await node.revoke(revocation)
        denial = node.denial(claims)
        assert denial is not None
        assert denial.code == "capability.revoked"
        assert node.denial(other) is None
        await log.append(revocation, claims.issued_at)
    node = await Revocations.open(log, clock)
    assert len(node) == 3
    await node.revoke(Revocation.of_everything(issued_until=claims.issued_at))
    assert node.denial(other) is not None


async def test_a_revision_grows_with_every_revocation(log, clock):
    node = await Revocations.open(log, clock)
    seen = [node.epoch]
    seen += [await node.revoke(Revocation.of_token(f"t{index}")) for index in range(5)]
    assert seen == sorted(set(seen))
    assert node.epoch == node.revision == seen[-1]


async def test_other_nodes_learn_by_reading_or_by_being_asked_for_a_revision(log, clock, claims):
    one, other = await Revocations.open(log, clock), await Revocations.open(log, clock)
    revision = await one.revoke(Revocation.of_token("t1"))
    assert other.denial(claims) is None  # Within its bound it may not know yet.
    verdict = await other.check(claims, at_least=revision)
    assert verdict.denial is not None
    assert verdict.revision == revision


async def test_a_caller_may_demand_how_fresh_an_answer_is(log, clock, claims):
    one, other = await Revocations.open(log, clock), await Revocations.open(log, clock)
    await one.revoke(Revocation.of_token("t1"))
    clock.advance(3)
    assert (await other.check(claims, max_staleness_seconds=5)).denial is None
    verdict = await other.check(claims, max_staleness_seconds=3)
    assert verdict.denial is not None
    assert verdict.age_seconds == 0


async def test_a_revision_that_the_log_does_not_have_refuses(log, clock, claims):
    node = await Revocations.open(log, clock)
    verdict = await node.check(claims, at_least=7)
    assert verdict.denial is not None
    assert verdict.denial.code == "capability.revocation_unknown"


async def test_what_is_too_old_refuses_until_it_is_read_again(log, clock, claims):
    node = await Revocations.open(log, clock, max_staleness_seconds=10)
    clock.advance(10)
    assert node.denial(claims) is None
    clock.advance(1)
    assert node.denial(claims) is not None
    assert node.epoch == -1
    await node.refresh()
    assert node.denial(claims) is None


async def test_a_node_that_never_read_refuses_everything(log, clock, claims):
    assert Revocations(log, clock).denial(claims) is not None


async def test_following_keeps_a_node_fresh(log, clock, claims):
    one, other = await Revocations.open(log, clock), await Revocations.open(log, clock)
    await one.revoke(Revocation.of_token("t1"))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(other.follow)
        with anyio.fail_after(5):
            await _until(lambda: other.denial(claims) is not None)
        tasks.cancel_scope.cancel()


async def test_following_outlives_an_outage(clock, claims, caplog):
    log = Flaky()
    node = await Revocations.open(log, clock)
    log.down = True
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(node.follow)
        with anyio.fail_after(5):
            await _until(lambda: node.denial(claims) is not None)
            log.down = False
            await _until(lambda: node.denial(claims) is None)
        tasks.cancel_scope.cancel()
    assert "gone" in caplog.text


async def test_forgetting_spares_what_is_still_needed(log, clock, claims):
    node = await Revocations.open(log, clock)
    await node.revoke(Revocation.of_token("t1", expires_at=claims.expires_at))
    await node.revoke(Revocation.of_key("k1"))
    clock.advance(DAY)
    await node.forget()
    assert len(node) == 2
    clock.advance(3_600 + MARGIN_SECONDS)
    assert await node.forget() == 1
    fresh = attrs.evolve(claims, issued_at=clock.wall, expires_at=clock.wall + 900)
    assert node.denial(fresh) is not None  # A key stays revoked.
    await node.refresh()
    assert len(await Revocations.open(log, clock)) <= 2


async def test_a_node_is_not_confused_by_what_another_forgot(tmp_path, clock, claims):
    log = SqliteLog(tmp_path / "revoked.db")
    one, other = await Revocations.open(log, clock), await Revocations.open(log, clock)
    await one.revoke(Revocation.of_token("t1"))
    await other.refresh()
    clock.advance(2 * DAY)
    await one.refresh()
    await one.revoke(Revocation.of_token("t2"))
    await one.forget()
    await other.refresh()
    late = attrs.evolve(
        claims,
        issued_at=clock.wall,
        expires_at=clock.wall + 900,
        token_id="t3",  # noqa: S106
    )
    assert other.denial(late) is None
    assert other.denial(attrs.evolve(late, token_id="t2")) is not None  # noqa: S106 - a name
    assert other.denial(claims) is not None  # Long expired, and below the floor.
    log.close()


async def test_a_file_serves_the_next_process(tmp_path, clock, claims):
    for _ in range(2):
        log = SqliteLog(tmp_path / "revoked.db")
        node = await Revocations.open(log, clock)
        if node.revision == 0:
            await node.revoke(Revocation.of_token("t1"))
        assert node.denial(claims) is not None
        log.close()
        with pytest.raises(RevocationUnavailable):
            await node.refresh()


async def test_a_foreign_file_is_refused(tmp_path):
    path = tmp_path / "x.db"
    path.write_bytes(b"garbage" * 1_000)
    with pytest.raises(RevocationUnavailable):
        SqliteLog(path)


async def test_a_log_that_ends_too_early_is_refused(log, clock):
    await (await Revocations.open(log, clock)).revoke(Revocation.of_token("t1"))
    with pytest.raises(RevocationsRolledBack):
        await Revocations.open(log, clock, at_least=2)


async def test_a_bound_of_nothing_is_refused(clock):
    with pytest.raises(ValueError, match="staleness"):
        Revocations(MemoryLog(), clock, max_staleness_seconds=0)


async def test_an_authenticator_obeys_at_its_next_call(log, clock, claims):
    key = Hs256Key.generate()
    token = JwtHs256Issuer(key, clock).issue(claims)
    node = await Revocations.open(log, clock)
    refused = []
    authenticator = Authenticator(
        [JwtHs256Validator([key], clock)], clock, revoked=node, audit=refused.append
    )
    assert authenticator.authenticate(token) == claims
    await node.revoke(Revocation.of_token("t1"))
    with pytest.raises(AuthenticationError):
        authenticator.authenticate(token)
    assert refused[0].denials[0].code == "capability.revoked"
