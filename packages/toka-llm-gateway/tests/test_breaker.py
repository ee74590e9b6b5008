from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from toka.llm_gateway import RouteState
from toka.llm_gateway.routing._breaker import CircuitBreaker

SECOND = 1_000_000_000


def test_failures_in_a_row_open_it_and_a_success_between_does_not():
    breaker = CircuitBreaker(2, 10)
    breaker.failed(0)
    breaker.succeeded()
    breaker.failed(0)
    assert breaker.state(0) is RouteState.CLOSED
    breaker.failed(0)
    assert breaker.state(0) is RouteState.OPEN
    assert not breaker.admit(10 * SECOND - 1)


def test_after_the_pause_one_call_at_a_time_tries_it():
    breaker = CircuitBreaker(1, 10)
    breaker.failed(0)
    now = 10 * SECOND
    assert breaker.admit(now)
    assert not breaker.admit(now)
    breaker.ended()
    assert breaker.admit(now)
    breaker.succeeded()
    assert breaker.admit(now)
    assert breaker.admit(now)


def test_a_probe_that_fails_opens_it_for_the_same_time_again():
    breaker = CircuitBreaker(3, 10)
    for _ in range(3):
        breaker.failed(0)
    for turn in range(1, 9):
        assert breaker.admit(turn * 10 * SECOND)
        breaker.failed(turn * 10 * SECOND)
        assert breaker.remaining_ns(turn * 10 * SECOND) == 10 * SECOND


def test_a_route_that_names_a_time_is_left_alone_for_it():
    breaker = CircuitBreaker(3, 10)
    breaker.failed(0, pause_ns=60 * SECOND)
    assert breaker.state(60 * SECOND - 1) is RouteState.OPEN
    assert breaker.state(60 * SECOND) is RouteState.HALF_OPEN


steps = st.lists(
    st.tuples(st.sampled_from(["fail", "succeed", "end"]), st.integers(0, 20 * SECOND))
)


@given(steps)
def test_it_never_stays_shut_longer_than_its_pause(history):
    breaker, now = CircuitBreaker(2, 10), 0
    for what, wait in history:
        now += wait
        if breaker.admit(now):
            match what:
                case "fail":
                    breaker.failed(now)
                case "succeed":
                    breaker.succeeded()
                case _:
                    breaker.ended()
    assert breaker.admit(now + 10 * SECOND)
