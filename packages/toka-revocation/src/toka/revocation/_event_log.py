"""Revocations as events of a store, beside everything else that happened.

The revision is the event's position, and its digest, which covers all of the log before it, is the
mark. A log of events forgets nothing, so `forget` does nothing here; only the index forgets.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

import attrs

from toka.revocation._errors import RevocationUnavailable
from toka.revocation._log import MARK_BYTES, Entry
from toka.revocation._revocation import Kind, Revocation
from toka.store.core import NewEvent, Query, StoreError
from toka.types import NANOSECONDS, CanonicalEncodingError, Codec, EventId, ulid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toka.revocation._log import RevocationLog
    from toka.store.core import Event, EventStore

EVENT_KIND: Final = "capability.revoked.v1"

_REVOCATIONS: Final = Query(kinds=(EVENT_KIND,))
STREAM: Final = "revocations"
_PAGE: Final = 1_000
_ENTROPY_BYTES: Final = 10


@attrs.frozen
class _Payload:
    kind: Kind
    target: str
    vault: str
    until: int | None
    expires_at: int | None
    reason: str
    revoked_at: int


_CODEC: Final = Codec(_Payload)


class EventLog:
    """A log in an event store, on whatever that is."""

    __slots__ = ("_store",)

    def __init__(self, store: EventStore) -> None:
        self._store = store

    async def append(self, revocation: Revocation, now: int) -> int:
        """Append an event, and return its position.

        Raises:
            RevocationUnavailable: The store failed; doing it again is harmless.
        """
        payload = _Payload(
            revocation.kind,
            revocation.target,
            revocation.vault,
            revocation.until,
            revocation.expires_at,
            revocation.reason,
            now,
        )
        event = NewEvent(
            id=EventId(ulid(now * 1_000, secrets.token_bytes(_ENTROPY_BYTES))),
            stream=STREAM,
            kind=EVENT_KIND,
            payload=_CODEC.encode(payload),
            time=now * NANOSECONDS,
        )
        try:
            receipt = await self._store.append([event])
        except StoreError as error:
            raise _unavailable(error) from error
        return receipt.last

    async def read(self, after: int) -> Sequence[Entry]:
        """Return the next entries after a position, in order.

        Raises:
            RevocationUnavailable: The store failed, or an event is malformed.
        """
        try:
            events = await self._store.read_page(after, _PAGE, where=_REVOCATIONS)
            return [_entry(event) for event in events]
        except (StoreError, CanonicalEncodingError) as error:
            raise _unavailable(error) from error

    async def floor(self) -> int:
        """Return 0: nothing was forgotten."""
        return 0

    async def forget(self, now: int) -> None:
        """Do nothing: events stay."""


def _entry(event: Event) -> Entry:
    said = _CODEC.decode(event.payload)
    revocation = Revocation(
        said.kind, said.target, said.vault, said.until, said.expires_at, said.reason
    )
    return Entry(event.position, event.digest[:MARK_BYTES], revocation, said.revoked_at)


def _unavailable(error: Exception) -> RevocationUnavailable:
    return RevocationUnavailable(f"The event store cannot keep or tell revocations: {error}")


if TYPE_CHECKING:
    _implements: type[RevocationLog] = EventLog
