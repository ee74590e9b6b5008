import random
from importlib import resources

import pytest

from toka.rate_limiter import (
    HOUR,
    MINUTE,
    SECOND,
    Action,
    Algorithm,
    AsyncLimiter,
    InvalidLimitError,
    Limit,
    RedisStorage,
    StorageUnavailable,
)
from toka.rate_limiter._algorithms import rules_for
from toka.rate_limiter._redis import _describe, _read
from toka.rate_limiter._settle import settle

pytestmark = pytest.mark.anyio
KEY = {"key": "a"}


@pytest.fixture
async def storage(redis_url):
    opened = RedisStorage.from_url(redis_url)
    yield opened
    await opened.close()


@pytest.fixture
def client(redis_url):
    import redis  # noqa: PLC0415 - only where there is a server

    with redis.Redis.from_url(redis_url) as opened:
        yield opened


def _limits(generator):
    limits = []
    for index, algorithm in enumerate(Algorithm):
        quota = generator.choice([1, 2, 3, 7, 10, 97])
        period = generator.choice([7, 1_000, SECOND, 3 * SECOND, MINUTE, HOUR])
        limits.append(
            Limit(f"l{index}", quota, period, algorithm=algorithm, shadow=generator.random() < 0.3)
        )
    return generator.sample(limits, generator.randint(1, len(limits)))


def _scripted(client):
    """The script under a clock of ours, and with a time to live that ours cannot reach."""
    source = resources.files("toka.rate_limiter").joinpath("_script.lua").read_text("utf-8")
    for ours, theirs in [
        ("tonumber(ARGV[#ARGV])", "tonumber(time[1]) * 1000000 + tonumber(time[2])"),
        ("3600000", "string.format('%.0f', up(whole, 1000) + 1)"),
    ]:
        assert theirs in source
        source = source.replace(theirs, ours)
    return client.register_script(source)


def _same_run(client, script, generator, start):
    """Run actions in Redis and here, under a clock that jumps both ways, and compare numbers."""
    limits = _limits(generator)
    keys = [f"{generator.random()}-{limit.name}" for limit in limits]
    states, now = [None] * len(limits), start
    for _ in range(25):
        now += generator.choice([0, 1, 3, 999, SECOND, 3 * MINUTE, 2 * HOUR, -1, -SECOND, -HOUR])
        if generator.random() < 0.1:
            limits = [limit.scaled(generator.choice([10, 50, 100])) for limit in limits]
        action = generator.choice([Action.HIT] * 6 + [Action.PEEK, Action.REFUND, Action.RESET])
        cost = generator.choice([1, 1, 1, 2, 5, 100, 2**53])
        described = [number for limit in limits for number in _describe(limit)]
        answer = script(keys=keys, args=[action.value, cost, *described, now])
        rules = [rules_for(limit) for limit in limits]
        after, expected = settle(action, rules, states, now, cost)
        assert _read(answer, [(limit, "") for limit in limits]) == expected
        states = [
            (new or None) if new is not None else old
            for old, new in zip(states, after, strict=True)
        ]
        states = [_same_bucket(client, *bucket) for bucket in zip(keys, states, strict=True)]


def _same_bucket(client, key, state):
    stored = client.get(key)
    if stored is None:  # Redis lets go at once of what is whole.
        return None
    assert stored.decode() == ",".join(map(str, state))
    return state


async def test_the_script_says_what_the_algorithms_say(client):
    generator = random.Random(20261121)  # noqa: S311 - a choice of cases
    script = _scripted(client)
    for start in [100 * HOUR, 10**12, 1_795_000_000 * SECOND] * 12:
        _same_run(client, script, generator, start)


@pytest.mark.parametrize("algorithm", list(Algorithm))
async def test_the_server_s_clock_counts(storage, algorithm):
    limiter = AsyncLimiter([Limit("x", 3, HOUR, algorithm=algorithm)], storage)
    assert [(await limiter.hit(KEY)).admitted for _ in range(4)] == [True, True, True, False]
    wait = (await limiter.peek(KEY)).retry_after
    assert wait is not None
    assert 0 < wait <= 2 * HOUR  # The counter's windows begin with the server's hours.
    await limiter.refund(KEY)
    assert (await limiter.hit(KEY)).admitted
    await limiter.reset(KEY)
    assert (await limiter.peek(KEY)).remaining == 3


async def test_every_key_has_a_time_to_live(storage, client):
    limits = [Limit(f"l{n}", 3, HOUR, algorithm=a) for n, a in enumerate(Algorithm)]
    await AsyncLimiter(limits, storage).hit(KEY)
    found = client.keys("*")
    assert len(found) == len(limits)
    for key in found:
        assert key.startswith(b"{toka-rate}:")
        assert 0 < client.pttl(key) <= 2 * HOUR // 1_000 + 1


async def test_prefixes_keep_applications_apart(redis_url):
    limit = Limit("x", 1, HOUR)
    for prefix in ("one", "two"):
        storage = RedisStorage.from_url(redis_url, prefix=prefix)
        assert (await AsyncLimiter([limit], storage).hit(KEY)).admitted
        await storage.close()


@pytest.mark.parametrize("prefix", ["", "a b", "{x}", "a\r\nFLUSHALL", "\u00fc", "a" * 65])
def test_a_prefix_that_could_break_a_key_is_refused(prefix):
    with pytest.raises(InvalidLimitError):
        RedisStorage.from_url("redis://127.0.0.1:1", prefix=prefix)


def test_an_address_of_something_else_is_refused():
    with pytest.raises(InvalidLimitError):
        RedisStorage.from_url("https://127.0.0.1")


@pytest.mark.parametrize("value", ["garbage", "1,2,3", "1,,2", "99999999999999999,0", "-5,0"])
async def test_a_foreign_value_under_a_key_is_refused(storage, client, value):
    limit = Limit("x", 3, HOUR)
    await storage.apply(Action.HIT, [(limit, "a")], 1)
    client.set(client.keys("*")[0], value)
    with pytest.raises(StorageUnavailable):
        await storage.apply(Action.HIT, [(limit, "a")], 1)


@pytest.mark.parametrize("answer", [None, b"OK", [], [1, 2, 3], [1, 2, 3, b"4"], [1] * 5])
def test_a_foreign_answer_is_refused(answer):
    with pytest.raises(StorageUnavailable):
        _read(answer, [(Limit("x", 3, HOUR), "a")])
