import pickle

import pytest

from toka.rate_limiter import DAY, HOUR, MINUTE, SECOND, Algorithm, InvalidLimitError, Limit


@pytest.mark.parametrize(
    ("quota", "period"), [(1, SECOND), (3, SECOND), (1_000_000, DAY), (10**9, 30 * DAY), (1, DAY)]
)
def test_rate_and_interval_are_exact(quota, period):
    limit = Limit("api", quota, period)
    assert limit.rate * period == limit.interval * quota


def test_burst_is_the_quota_if_left_out():
    assert Limit("api", 100, MINUTE).capacity == 100
    assert Limit("api", 100, MINUTE, burst=10).capacity == 10


@pytest.mark.parametrize(
    "bad",
    [
        {"algorithm": Algorithm.FIXED_WINDOW, "burst": 5},
        {"algorithm": Algorithm.SLIDING_LOG, "quota": 10_001},
        {"algorithm": Algorithm.SLIDING_COUNTER, "quota": 10**6, "period": DAY},
        {"quota": 999_999_937, "period": 366 * DAY},
        {"burst": 0},
        {"by": ()},
        {"by": ("user", "user")},
        {"by": ("User",)},
        {"name": ""},
        {"name": "a" * 65},
        {"name": 'x";q=1\r\nSet-Cookie: a=b'},
        {"name": "\u0430pi"},
        {"quota": True},
        {"quota": 1.5},
        {"period": 367 * DAY},
    ],
)
def test_a_limit_that_cannot_hold_is_refused(bad):
    with pytest.raises(InvalidLimitError):
        Limit(**{"name": "api", "quota": 100, "period": HOUR, **bad})


def test_scaling_keeps_at_least_one_hit():
    limit = Limit("api", 100, MINUTE, burst=10)
    assert limit.scaled(50).quota == 50
    assert limit.scaled(50).capacity == 5
    assert limit.scaled(1).capacity == 1
    assert limit.scaled(100) is limit


@pytest.mark.parametrize("percent", [0, 101, -1, 1.0, True, "50"])
def test_scaling_beyond_the_limit_is_refused(percent):
    with pytest.raises(InvalidLimitError):
        Limit("api", 100, MINUTE).scaled(percent)


def test_a_limit_survives_pickling():
    limit = Limit("api", 100, MINUTE, ("user", "ip"), Algorithm.TOKEN_BUCKET, burst=7)
    again = pickle.loads(pickle.dumps(limit))  # noqa: S301 - our own value
    assert again == limit
    assert again.capacity == 7
