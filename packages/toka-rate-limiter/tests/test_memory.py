import pytest

from toka.rate_limiter import MINUTE, SECOND, InvalidLimitError, Limit, Limiter, MemoryStorage


def test_buckets_that_are_whole_again_are_forgotten(clock):
    storage = MemoryStorage(clock)
    limiter = Limiter([Limit("x", 1, SECOND)], storage)
    for index in range(1_000):
        clock.advance(SECOND // 10)
        limiter.hit({"key": str(index)})
    assert len(storage) < 30


def test_a_reset_makes_the_limit_whole_again_and_again(clock):
    storage = MemoryStorage(clock)
    limiter = Limiter([Limit("x", 1, MINUTE)], storage)
    for _ in range(100):
        assert limiter.hit({"key": "a"}).admitted
        assert not limiter.hit({"key": "a"}).admitted
        assert limiter.reset({"key": "a"}).remaining == 1
    assert len(storage) == 1


def test_nothing_is_kept_for_a_refund_or_a_reset_of_an_unknown_key(clock):
    storage = MemoryStorage(clock)
    limiter = Limiter([Limit("x", 1, MINUTE)], storage)
    assert limiter.refund({"key": "a"}).remaining == 1
    assert limiter.reset({"key": "a"}).remaining == 1
    assert limiter.peek({"key": "a"}).admitted
    assert len(storage) == 0


def test_two_limiters_on_one_storage_share_limits_of_one_name(clock):
    storage = MemoryStorage(clock)
    limit = Limit("x", 2, MINUTE)
    assert Limiter([limit], storage).hit({"key": "a"}).remaining == 1
    assert Limiter([limit], storage).hit({"key": "a"}).remaining == 0
    assert Limiter([Limit("y", 2, MINUTE)], storage).hit({"key": "a"}).remaining == 1


def test_a_shadow_limit_without_room_is_left_uncounted(clock):
    storage = MemoryStorage(clock, max_keys=1)
    enforced, shadow = Limit("x", 5, MINUTE), Limit("y", 5, MINUTE, shadow=True)
    Limiter([enforced], storage).hit({"key": "a"})
    decision = Limiter([enforced, shadow], storage).hit({"key": "a"})
    assert decision.admitted
    assert decision.remaining == 3
    assert len(storage) == 1


def test_a_storage_without_room_is_refused():
    with pytest.raises(InvalidLimitError):
        MemoryStorage(max_keys=0)
