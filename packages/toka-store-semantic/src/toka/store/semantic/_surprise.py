"""How unlikely something is, as a number from 0 to 1."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from toka.store.semantic._embedder import Vectors

_DECADES: Final = 12
_TAIL: Final = 0.1
"""The share of a sample whose excess shapes the tail."""


def severity(probability: float) -> float:
    """Return the number of decades of a probability: 1e-3 is 0.25, 1e-6 is 0.5, 1e-12 is 1."""
    if probability <= 0:
        return 1.0
    return min(1.0, max(0.0, -math.log10(probability) / _DECADES))


def tail_of_sample(sample: Vectors, value: float) -> float:
    """Return how likely a value as high comes from where a sample came from.

    Within the sample it is the share of what is as high, with one added, as for any rank test. In
    the highest tenth the excess is taken for exponential (peaks over a threshold; Pickands, 1975),
    so that it goes on falling beyond the highest of the sample. The mean excess is known from few
    values only; what they predict falls as a power, never faster than they can vouch for.

    Args:
        sample: In rising order, not empty.
        value: To judge.
    """
    threshold = float(np.quantile(sample, 1 - _TAIL))
    excesses = sample[sample > threshold] - threshold
    if value <= threshold or not len(excesses):
        as_high = len(sample) - int(np.searchsorted(sample, value))
        return (as_high + 1) / (len(sample) + 1)
    return _TAIL * (1 + (value - threshold) / float(excesses.sum())) ** -len(excesses)


def tail_of_counts(count: int, mean: float, dispersion: float) -> float:
    """Return how likely at least so many are, by the negative binomial distribution.

    Args:
        count: What was counted.
        mean: What is expected, above 0.
        dispersion: The distribution's r: the lower, the burstier; as it grows, Poisson's.
    """
    if count <= 0:
        return 1.0
    log_failure = math.log(mean / (mean + dispersion))
    log_success = math.log(dispersion / (mean + dispersion))
    constant = dispersion * log_success - math.lgamma(dispersion)
    total, each = 0.0, count
    while True:
        log_term = math.lgamma(each + dispersion) - math.lgamma(each + 1) + each * log_failure
        term = math.exp(constant + log_term)
        total += term
        # Beyond the mean, terms fall at least geometrically from some point on.
        if each > mean and term <= total * 1e-9:
            return min(1.0, total)
        each += 1
