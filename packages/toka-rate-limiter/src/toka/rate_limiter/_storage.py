"""What a storage is: it applies one action to several buckets, at once or not at all.

The clock is the storage's own, because whoever shares the buckets must share the time.
"""

from __future__ import annotations

import enum
import hashlib
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from toka.rate_limiter._errors import InvalidHitError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toka.rate_limiter._decision import LimitStatus
    from toka.rate_limiter._limit import Limit

MAX_FACT_CHARACTERS: Final = 512
"""Longer facts are replaced by their digest, so that they take no room and stay distinct."""

Key: TypeAlias = "str | tuple[str, ...]"
"""The fact that a limit counts by, or the several facts."""

Charge: TypeAlias = "tuple[Limit, Key]"
"""One bucket: the limit, and whose."""


class Action(enum.Enum):
    """What to do with a cost."""

    HIT = "hit"
    """Spend it, if every enforced limit admits it; a shadow limit spends it if it would."""
    PEEK = "peek"
    """Say what a hit would answer, and change nothing."""
    REFUND = "refund"
    """Give it back to every limit."""
    RESET = "reset"
    """Forget the buckets, whatever the cost."""


class Storage(Protocol):
    """Keeps buckets, and answers without waiting long."""

    def apply(self, action: Action, charges: Sequence[Charge], cost: int) -> list[LimitStatus]:
        """Apply an action to buckets, atomically, and return the status of each.

        Raises:
            StorageUnavailable: It could not; whether it was done is not known.
            InvalidHitError: A key holds something that is not text.
        """
        ...


class AsyncStorage(Protocol):
    """Keeps buckets elsewhere."""

    async def apply(
        self, action: Action, charges: Sequence[Charge], cost: int
    ) -> list[LimitStatus]:
        """Apply an action to buckets, atomically, and return the status of each.

        Raises:
            StorageUnavailable: It could not; whether it was done is not known.
            InvalidHitError: A key holds something that is not text.
        """
        ...


def checked_key(limit: Limit, key: Key) -> Key:
    """Return a key whose facts are text of bounded length.

    Raises:
        InvalidHitError: One is not text.
    """
    if len(limit.by) == 1:
        return _checked_fact(key)
    return tuple([_checked_fact(fact) for fact in key])


def bucket_digest(limit: Limit, key: Key) -> bytes:
    """Return 16 bytes that name a bucket: no two name one, and none can hold a command.

    Raises:
        InvalidHitError: A fact is not text.
    """
    checked = checked_key(limit, key)
    facts = checked if isinstance(checked, tuple) else (checked,)
    parts = (limit.name, limit.algorithm.value, *limit.by, *facts)
    # Each part carries its length, so that ("a/b", "c") is not ("a", "b/c").
    data = b"".join(
        [
            len(part := text.encode("utf-8", "surrogatepass")).to_bytes(4, "big") + part
            for text in parts
        ]
    )
    return hashlib.blake2b(data, digest_size=16, person=b"toka-rate").digest()


def _checked_fact(fact: object) -> str:
    if not isinstance(fact, str):
        raise InvalidHitError(f"A fact to count by is text, not {type(fact).__name__}.")
    if len(fact) <= MAX_FACT_CHARACTERS:
        return fact
    data = fact.encode("utf-8", "surrogatepass")
    return "\N{NULL}digest " + hashlib.blake2b(data, digest_size=32).hexdigest()
