"""Limits by any key: five algorithms on whole numbers, three storages, HTTP middleware."""

from toka.rate_limiter._adaptive import AdaptivePolicy, FailureGuard, Reading
from toka.rate_limiter._aiohttp import limit_requests
from toka.rate_limiter._async_limiter import DEFAULT_TIMEOUT_SECONDS, AsyncLimiter
from toka.rate_limiter._client_address import ClientAddress
from toka.rate_limiter._decision import Decision, LimitStatus
from toka.rate_limiter._errors import (
    InvalidHitError,
    InvalidLimitError,
    RateLimitError,
    StorageUnavailable,
)
from toka.rate_limiter._fields import problem, response_fields
from toka.rate_limiter._limit import DAY, HOUR, MINUTE, SECOND, Algorithm, Limit
from toka.rate_limiter._limiter import Limiter
from toka.rate_limiter._memory import DEFAULT_MAX_KEYS, MemoryStorage
from toka.rate_limiter._outage import WhenDown
from toka.rate_limiter._redis import RedisStorage
from toka.rate_limiter._sqlite import SqliteStorage
from toka.rate_limiter._storage import Action, AsyncStorage, Charge, Key, Storage

__all__ = [
    "DAY",
    "DEFAULT_MAX_KEYS",
    "DEFAULT_TIMEOUT_SECONDS",
    "HOUR",
    "MINUTE",
    "SECOND",
    "Action",
    "AdaptivePolicy",
    "Algorithm",
    "AsyncLimiter",
    "AsyncStorage",
    "Charge",
    "ClientAddress",
    "Decision",
    "FailureGuard",
    "InvalidHitError",
    "InvalidLimitError",
    "Key",
    "Limit",
    "LimitStatus",
    "Limiter",
    "MemoryStorage",
    "RateLimitError",
    "Reading",
    "RedisStorage",
    "SqliteStorage",
    "Storage",
    "StorageUnavailable",
    "WhenDown",
    "limit_requests",
    "problem",
    "response_fields",
]
