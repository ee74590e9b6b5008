"""Subjects made of a function: how often a second it can be called, and how long a call takes."""

from __future__ import annotations

from time import perf_counter, perf_counter_ns
from typing import TYPE_CHECKING

from toka.performance._histogram import Histogram

if TYPE_CHECKING:
    from collections.abc import Callable

    from toka.performance._measure import Subject


def throughput(call: Callable[[], object], calls: int) -> Subject:
    """Return a subject: calls a second, from one loop over `calls` of them."""

    def once() -> float:
        began = perf_counter()
        for _ in range(calls):
            call()
        return calls / (perf_counter() - began)

    return once


def latency(call: Callable[[], object], calls: int, percent: float = 99) -> Subject:
    """Return a subject: microseconds that `percent` of 100 calls do not exceed."""

    def once() -> float:
        return timings(call, calls).percentile(percent) / 1000

    return once


def timings(call: Callable[[], object], calls: int) -> Histogram:
    """Return how many nanoseconds each of `calls` calls took."""
    histogram = Histogram()
    for _ in range(calls):
        began = perf_counter_ns()
        call()
        histogram.record(perf_counter_ns() - began)
    return histogram
