from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toka.agent_runtime import RetryPolicy
from toka.types import NANOSECONDS, InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Callable


def test_one_attempt_is_the_default():
    assert not RetryPolicy().is_worth_it("any", attempt=1)


def test_attempts_count_the_first():
    policy = RetryPolicy(attempts=3)
    assert [policy.is_worth_it("any", attempt=n) for n in (1, 2, 3)] == [True, True, False]


def test_a_final_failure_is_not_repeated_unless_it_is_named():
    assert not RetryPolicy(attempts=2).is_worth_it("x", attempt=1, is_final=True)
    named = RetryPolicy(attempts=2, retry_on=("x",))
    assert named.is_worth_it("x", attempt=1, is_final=True)


def test_codes_select_what_is_repeated():
    policy = RetryPolicy(attempts=2, retry_on=("tools.*", "llm.overloaded"))
    assert policy.is_worth_it("tools.timeout", attempt=1)
    assert policy.is_worth_it("llm.overloaded", attempt=1)
    assert not policy.is_worth_it("llm.overloaded_more", attempt=1)
    assert not policy.is_worth_it("toolsmith", attempt=1)


def test_the_bound_doubles_up_to_the_longest():
    policy = RetryPolicy(attempts=9, initial=NANOSECONDS, longest=5 * NANOSECONDS)
    bounds = [policy.wait(n, lambda: 1.0) / NANOSECONDS for n in range(1, 6)]
    assert bounds == [1.0, 2.0, 4.0, 5.0, 5.0]


@given(st.integers(1, 10**6), st.floats(0, 1, exclude_max=True), st.floats(1, 10))
def test_a_wait_stays_in_its_range(attempt: int, draw: float, factor: float):
    policy = RetryPolicy(attempts=10, factor=factor)
    assert 0 <= policy.wait(attempt, lambda: draw) <= policy.longest


@pytest.mark.parametrize(
    "make",
    [
        lambda: RetryPolicy(attempts=0),
        lambda: RetryPolicy(initial=-1),
        lambda: RetryPolicy(initial=10, longest=5),
        lambda: RetryPolicy(factor=0.5),
        lambda: RetryPolicy(factor=float("nan")),
    ],
    ids=["no attempt", "negative", "shrinking", "below one", "no number"],
)
def test_numbers_out_of_range_are_refused(make: Callable[[], RetryPolicy]):
    with pytest.raises(InvalidValueError):
        make()
