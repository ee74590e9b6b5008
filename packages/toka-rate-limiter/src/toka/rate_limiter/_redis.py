"""Buckets in Redis, for the processes of many machines.

One script does a whole action: it reads, decides and writes, by the server's clock, with nothing in
between. It runs on the primary only, so a replica's lag plays no part; after a failover what the
old primary had not yet replicated is forgotten, as Redis promises nothing else.
"""

from __future__ import annotations

import re
from functools import cached_property
from importlib import resources
from typing import TYPE_CHECKING, Final, cast

from toka.rate_limiter._decision import LimitStatus
from toka.rate_limiter._errors import InvalidLimitError, StorageUnavailable
from toka.rate_limiter._limit import MAX_EXACT
from toka.rate_limiter._storage import bucket_digest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence
    from typing import Self

    from redis.asyncio import Redis
    from redis.commands.core import AsyncScript

    from toka.rate_limiter._limit import Limit
    from toka.rate_limiter._storage import Action, AsyncStorage, Charge

_PREFIX: Final = re.compile(r"[A-Za-z0-9:._-]{1,64}")
_NEVER: Final = -1
_FIELDS: Final = 4
_LARGEST_COST: Final = MAX_EXACT
"""More is over every limit anyway, and would not be exact in the script."""


class RedisStorage:
    """Buckets in a Redis server of version 5 or newer. Needs the extra `redis`.

    Every key has a time to live of a little more than its bucket needs to become whole. In a
    cluster all buckets share one hash slot, since one script must see them together.
    """

    def __init__(self, client: Redis, *, prefix: str = "toka-rate") -> None:
        """Use a client.

        Args:
            client: Should not retry: a hit whose answer was lost may have been counted.
            prefix: Distinguishes the keys of one application from those of others.

        Raises:
            InvalidLimitError: The prefix holds other than ASCII letters, digits, and `:._-`.
        """
        if not _PREFIX.fullmatch(prefix):
            raise InvalidLimitError(f"The prefix {prefix[:80]!r} may not be part of a Redis key.")
        self._client = client
        self._prefix = f"{{{prefix}}}:".encode("ascii")

    @classmethod
    def from_url(cls, url: str, *, prefix: str = "toka-rate", timeout_seconds: float = 2.0) -> Self:
        """Connect to a server, when it is first needed.

        Args:
            url: As in `redis://host:6379/0`.
            prefix: Distinguishes the keys of one application from those of others.
            timeout_seconds: For connecting and for each answer.

        Raises:
            InvalidLimitError: The prefix or the address is malformed.
        """
        from redis.asyncio import Redis  # noqa: PLC0415 - an extra, and 100 ms at import
        from redis.asyncio.retry import Retry  # noqa: PLC0415 - see above
        from redis.backoff import NoBackoff  # noqa: PLC0415 - see above

        try:
            client = Redis.from_url(  # pyright: ignore[reportUnknownMemberType] - untyped **kwargs
                url,
                socket_timeout=timeout_seconds,
                socket_connect_timeout=timeout_seconds,
                retry=Retry(NoBackoff(), 0),  # A second attempt could count twice.
            )
        except ValueError as error:
            raise InvalidLimitError("The address is not that of a Redis server.") from error
        return cls(client, prefix=prefix)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def apply(
        self, action: Action, charges: Sequence[Charge], cost: int
    ) -> list[LimitStatus]:
        """Apply an action to buckets, atomically, and return the status of each.

        Raises:
            StorageUnavailable: The server did not answer, or holds something else under the keys;
                whether it was done is not known.
            InvalidHitError: A key holds something that is not text.
        """
        from redis.exceptions import RedisError  # noqa: PLC0415 - an extra, and slow to import

        keys = [self._prefix + bucket_digest(*charge).hex().encode("ascii") for charge in charges]
        arguments: list[str | int] = [action.value, min(cost, _LARGEST_COST)]
        for limit, _ in charges:
            arguments += _describe(limit)
        try:
            answer = await cast("Awaitable[object]", self._script(keys=keys, args=arguments))
        except (RedisError, OSError) as error:
            raise StorageUnavailable(
                f"The limits' Redis server failed: {type(error).__name__}: {error}."
            ) from error
        return _read(answer, charges)

    @cached_property
    def _script(self) -> AsyncScript:
        # Sent again by the client whenever the server has forgotten it.
        source = resources.files("toka.rate_limiter").joinpath("_script.lua").read_text("utf-8")
        return self._client.register_script(source)


def _describe(limit: Limit) -> list[str | int]:
    return [
        limit.algorithm.value,
        limit.quota,
        limit.period,
        limit.capacity,
        limit.rate,
        limit.interval,
        int(limit.shadow),
    ]


def _read(answer: object, charges: Sequence[Charge]) -> list[LimitStatus]:
    numbers = cast("list[object]", answer) if isinstance(answer, list) else []
    integers = [number for number in numbers if type(number) is int]
    if len(integers) != len(numbers) or len(integers) != _FIELDS * len(charges):
        raise StorageUnavailable("The limits' Redis server answered something else.")
    statuses: list[LimitStatus] = []
    for index, (limit, _) in enumerate(charges):
        admitted, remaining, reset, retry = integers[_FIELDS * index : _FIELDS * (index + 1)]
        wait = None if retry == _NEVER else retry
        statuses.append(LimitStatus(limit, bool(admitted), remaining, reset, wait))
    return statuses


if TYPE_CHECKING:
    _implements: type[AsyncStorage] = RedisStorage
