from toka.capability.core import SteadyTime
from toka.types import NANOSECONDS


class HandClock:
    def __init__(self):
        self.wall = 1_000
        self.mono = 50

    def now(self):
        return self.wall * NANOSECONDS

    def monotonic(self):
        return self.mono * NANOSECONDS

    async def sleep(self, nanoseconds):
        raise NotImplementedError

    def advance(self, seconds):
        self.wall += seconds
        self.mono += seconds


def test_time_follows_the_clock():
    time = SteadyTime(clock := HandClock())
    assert time.seconds() == 1_000
    clock.advance(10)
    assert time.seconds() == 1_010


def test_attack_4_1_11_time_goes_on_when_the_clock_is_set_back():
    time = SteadyTime(clock := HandClock())
    clock.advance(10)
    clock.wall -= 3_600
    assert time.seconds() == 1_010
    clock.advance(60)
    assert time.seconds() == 1_070


def test_time_jumps_ahead_with_the_clock():
    time = SteadyTime(clock := HandClock())
    clock.wall += 3_600
    assert time.seconds() == 4_600
    clock.wall -= 3_600
    assert time.seconds() == 4_600
