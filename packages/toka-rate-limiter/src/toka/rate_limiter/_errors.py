"""Errors of toka.rate_limiter.

    TokaError
    └── RateLimitError
        ├── InvalidLimitError      a limit cannot be enforced as it is stated
        ├── InvalidHitError        a cost is no whole number above zero, or the facts lack a key
        └── StorageUnavailable     the storage did not answer, or answered nonsense

A hit that is over the limit is no error: it is a `Decision`.
"""

from __future__ import annotations

from toka.types import TokaError


class RateLimitError(TokaError):
    """The base of this distribution's errors."""

    default_code = "rate.error"


class InvalidLimitError(RateLimitError, ValueError):
    """A limit, a policy or a storage is configured in a way that cannot hold."""

    default_code = "rate.bad_limit"


class InvalidHitError(RateLimitError, ValueError):
    """A cost is no whole number above zero, or a fact that a limit counts by is missing."""

    default_code = "rate.bad_hit"


class StorageUnavailable(RateLimitError):
    """The storage did not answer in time, failed, or holds what this package did not write."""

    default_code = "rate.storage_unavailable"
