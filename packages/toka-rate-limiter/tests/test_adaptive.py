import pytest
from hypothesis import given
from hypothesis import strategies as st

from toka.rate_limiter import (
    HOUR,
    MINUTE,
    AdaptivePolicy,
    AsyncLimiter,
    FailureGuard,
    InvalidLimitError,
    Limit,
    MemoryStorage,
    Reading,
    StorageUnavailable,
)

readings = st.builds(Reading, st.integers(-(10**9), 10**18), st.integers(-10, 10**9))


@given(st.integers(1, 100), st.lists(readings))
def test_no_load_leaves_the_bounds(floor, load):
    assert floor <= AdaptivePolicy(floor_percent=floor).share(load) <= 100


@given(st.integers(1, 1_024), st.integers(-(10**30), 10**30))
def test_no_number_of_failures_leaves_the_bounds(maximum, failures):
    assert 1 <= AdaptivePolicy(maximum_cost=maximum).cost(failures) <= maximum


def test_the_worst_reading_decides():
    policy = AdaptivePolicy(floor_percent=10)
    assert policy.share([]) == 100
    assert policy.share([Reading(80, 80), Reading(1_500, 1_000)]) == 66
    assert policy.share([Reading(80, 80), Reading(10**6, 1)]) == 10


@pytest.mark.parametrize("bad", [{"floor_percent": 0}, {"floor_percent": 101}, {"maximum_cost": 0}])
def test_bounds_out_of_range_are_refused(bad):
    with pytest.raises(InvalidLimitError):
        AdaptivePolicy(**bad)


def _guard(clock, maximum_cost=16):
    storage = MemoryStorage(clock)
    return FailureGuard(
        AsyncLimiter([Limit("logins", 20, MINUTE, ("ip",))], storage),
        AsyncLimiter([Limit("failures", 10, HOUR, ("ip",))], storage),
        AdaptivePolicy(maximum_cost=maximum_cost),
    )


@pytest.mark.anyio
async def test_attempts_get_dearer_after_failures(clock):
    guard, facts = _guard(clock), {"ip": "192.0.2.7"}
    left = []
    for _ in range(4):
        left.append((await guard.attempt(facts)).remaining)
        await guard.failed(facts)
    assert left == [19, 17, 13, 5]
    assert (await guard.attempt({"ip": "192.0.2.8"})).remaining == 19


@pytest.mark.anyio
async def test_success_forgets_failures(clock):
    guard, facts = _guard(clock), {"ip": "192.0.2.7"}
    for _ in range(3):
        await guard.failed(facts)
    await guard.succeeded(facts)
    assert (await guard.attempt(facts)).remaining == 19


@pytest.mark.anyio
async def test_nobody_is_locked_out_longer_than_the_limit_takes_to_recover(clock):
    guard, facts = _guard(clock, maximum_cost=1_024), {"ip": "192.0.2.7"}
    for _ in range(100):
        await guard.failed(facts)
        await guard.attempt(facts)
    clock.advance(MINUTE)
    assert (await guard.attempt(facts)).admitted


class Dead:
    async def apply(self, action, charges, cost):  # noqa: ARG002 - the protocol's signature
        raise StorageUnavailable("gone")


@pytest.mark.anyio
async def test_without_a_count_of_failures_an_attempt_is_refused(clock):
    guard = FailureGuard(
        AsyncLimiter([Limit("logins", 20, MINUTE, ("ip",))], MemoryStorage(clock)),
        AsyncLimiter([Limit("failures", 10, HOUR, ("ip",))], Dead()),
    )
    decision = await guard.attempt({"ip": "192.0.2.7"})
    assert decision.degraded
    assert not decision.admitted
