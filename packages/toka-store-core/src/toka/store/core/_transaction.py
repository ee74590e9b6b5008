"""Transactions that stay open for long, over several calls and over restarts.

`append` stores any number of events in any number of streams at once, and who has all of them
should call it and no more. This is for who collects events over minutes, wants what was collected
to outlive the process, and decides later: begin, write, and commit or roll back.

What is written is kept in the log itself, in the stream of the transaction, as payload of events of
the kind `transaction.written.v1`; no reader of other streams or kinds sees it. `commit` is one
append of all of it, together with the event that says so. There is nothing between before and
after, so there is nothing for `recover` to finish; it lists what is open and ends it as its caller
says. All state is a function of the log: `checkpoint` only saves the way to it.

A transaction isolates nothing. Others append meanwhile; give `commit` expectations or demands, as
you would give them to `append`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, TypeAlias

import attrs
import msgspec

from toka.store.core._check import check_event
from toka.store.core._errors import (
    TransactionCommitted,
    TransactionRolledBack,
    UnknownTransaction,
)
from toka.store.core._event import NewEvent, Receipt
from toka.store.core._query import Query
from toka.store.core._snapshot import Snapshot
from toka.types import EventId, SystemClock, digest, ulid

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from toka.store.core._event import Event
    from toka.store.core._expected import Expected
    from toka.store.core._protocol import EventStore
    from toka.store.core._query import Absent
    from toka.types import Clock

TransactionId: TypeAlias = EventId
"""Of a transaction: the identifier of the event with which it began."""

BEGUN: Final = "transaction.begun.v1"
WRITTEN: Final = "transaction.written.v1"
COMMITTED: Final = "transaction.committed.v1"
ROLLED_BACK: Final = "transaction.rolled_back.v1"

_ALL: Final = Query(kinds=("transaction.",))
_SNAPSHOT: Final = "transactions"
_EMPTY: Final = b"{}"


@attrs.frozen
class Transaction:
    """An open transaction."""

    id: TransactionId
    version: int
    """Of its stream."""
    ending: EventId
    """The identifier that the event of its end will have: an end that is repeated is the same."""
    time: int
    """Of the last event of its stream; its end has the same."""
    events: tuple[NewEvent, ...] = ()


@attrs.frozen
class Recovery:
    """How `recover` ended what it found open."""

    committed: tuple[TransactionId, ...]
    rolled_back: tuple[TransactionId, ...]


_pack: Final = msgspec.msgpack.Encoder().encode
_unpack_event: Final = msgspec.msgpack.Decoder(NewEvent).decode
_unpack_open: Final = msgspec.msgpack.Decoder(list[Transaction]).decode


def _stream(transaction: TransactionId) -> str:
    return f"transaction/{transaction}"


class Transactions:
    """The open transactions of a store. One object of this class writes to them at a time."""

    def __init__(
        self,
        store: EventStore,
        *,
        clock: Clock | None = None,
        new_id: Callable[[], EventId] | None = None,
    ) -> None:
        """Use a store.

        Args:
            store: Keeps the transactions, and is not closed by this.
            clock: For the times of the events that this appends.
            new_id: Returns identifiers for them.
        """
        self._store = store
        self._clock = clock or SystemClock()
        self._new_id = new_id or self._ulid
        self._known: dict[TransactionId, Transaction] = {}

    def _ulid(self) -> EventId:
        return EventId(ulid(self._clock.now() // 1_000_000, os.urandom(10)))

    async def begin(self) -> TransactionId:
        """Open a transaction and return its identifier, which `resume`s it after a restart.

        Raises:
            StoreError: The append is refused or fails.
        """
        event_id, ending, now = self._new_id(), self._new_id(), self._clock.now()
        stream = _stream(event_id)
        await self._store.append(
            [NewEvent(event_id, stream, BEGUN, _pack(ending), now)], streams={stream: 0}
        )
        self._known[event_id] = Transaction(event_id, 1, ending, now)
        return event_id

    async def write(self, transaction: TransactionId, event: NewEvent) -> None:
        """Add an event to a transaction, durably; what stands in the log is not touched.

        Raises:
            InvalidEvent: A field breaks a rule.
            UnknownTransaction: None of this identifier was begun here.
            TransactionCommitted: It is committed.
            TransactionRolledBack: It is rolled back.
            StoreError: The append is refused or fails.
        """
        check_event(event)
        found = await self._open(transaction)
        stream, now = _stream(transaction), self._clock.now()
        written = NewEvent(self._new_id(), stream, WRITTEN, _pack(event), now)
        await self._trusting(
            transaction, self._store.append([written], streams={stream: found.version})
        )
        self._known[transaction] = attrs.evolve(
            found, version=found.version + 1, time=now, events=(*found.events, event)
        )

    async def commit(
        self,
        transaction: TransactionId,
        *,
        streams: Mapping[str, Expected] | None = None,
        absent: Sequence[Absent] = (),
    ) -> Receipt:
        """Append all that was written, or nothing; again, return the same receipt.

        Args:
            transaction: To commit.
            streams: What to expect of streams.
            absent: What must not be in the log.

        Returns:
            The receipt of the append: its last event is the one that says so.

        Raises:
            UnknownTransaction: None of this identifier was begun here.
            TransactionRolledBack: It is rolled back.
            AppendRefused: An expectation does not hold, or an event's parent or identifier is
                wrong; the transaction stays open.
            StoreError: The append fails.
        """
        ended = await self._ended(transaction)
        if ended is not None:
            return _receipt(ended)
        found = await self._open(transaction)
        stream = _stream(transaction)
        end = NewEvent(found.ending, stream, COMMITTED, _EMPTY, found.time)
        receipt = await self._trusting(
            transaction,
            self._store.append(
                [*found.events, end],
                streams={**(streams or {}), stream: found.version},
                absent=absent,
            ),
        )
        self._known.pop(transaction, None)
        return receipt

    async def rollback(self, transaction: TransactionId) -> None:
        """End a transaction without its events; again, do nothing.

        Raises:
            UnknownTransaction: None of this identifier was begun here.
            TransactionCommitted: It is committed.
            StoreError: The append is refused or fails.
        """
        ended = await self._ended(transaction)
        if ended is not None:
            if ended.kind == COMMITTED:
                raise TransactionCommitted(transaction)
            return
        found = await self._open(transaction)
        stream = _stream(transaction)
        end = NewEvent(found.ending, stream, ROLLED_BACK, _EMPTY, found.time)
        await self._trusting(
            transaction, self._store.append([end], streams={stream: found.version})
        )
        self._known.pop(transaction, None)

    async def events(self, transaction: TransactionId) -> tuple[NewEvent, ...]:
        """Return what was written to an open transaction, also before a restart.

        Raises:
            UnknownTransaction: None of this identifier was begun here.
            TransactionCommitted: It is committed.
            TransactionRolledBack: It is rolled back.
            StoreError: Reading fails.
        """
        return (await self._open(transaction)).events

    async def pending(self) -> list[TransactionId]:
        """Return the open transactions, the oldest first.

        Raises:
            StoreError: Reading fails.
        """
        _, found = await self._read_all()
        return list(found)

    async def recover(
        self, finish: Callable[[tuple[NewEvent, ...]], bool] = lambda _: False
    ) -> Recovery:
        """End every open transaction, as after a restart; what is ended already stays as it is.

        Args:
            finish: Says of the events of one whether to commit it; by default none is.

        Raises:
            AppendRefused: One cannot be committed; those before it are ended.
            StoreError: Reading or appending fails.
        """
        _, found = await self._read_all()
        self._known = dict(found)
        committed: list[TransactionId] = []
        rolled_back: list[TransactionId] = []
        for transaction in found.values():
            if finish(transaction.events):
                await self.commit(transaction.id)
                committed.append(transaction.id)
            else:
                await self.rollback(transaction.id)
                rolled_back.append(transaction.id)
        return Recovery(tuple(committed), tuple(rolled_back))

    async def checkpoint(self) -> None:
        """Save what is open as a snapshot, so that `recover` need not read what came before.

        Raises:
            StoreError: Reading or writing fails.
        """
        position, found = await self._read_all()
        data = _pack(list(found.values()))
        await self._store.save_snapshot(Snapshot(_SNAPSHOT, position, data, digest(data)))

    # ---- from the log

    async def _read_all(self) -> tuple[int, dict[TransactionId, Transaction]]:
        """Return what is open at the head, and the head's position."""
        head = (await self._store.head()).position
        snapshot = await self._store.load_snapshot(_SNAPSHOT)
        found: dict[TransactionId, Transaction] = {}
        start = 0
        if snapshot is not None and digest(snapshot.data) == snapshot.digest:
            found = {each.id: each for each in _unpack_open(snapshot.data)}
            start = snapshot.position
        async for event in self._store.read(start, where=_ALL):
            if event.position > head:
                break
            self._fold(found, event)
        return head, found

    def _fold(self, found: dict[TransactionId, Transaction], event: Event) -> None:
        transaction = TransactionId(event.stream.partition("/")[2])
        if event.kind == BEGUN and not event.compacted:
            ending = msgspec.msgpack.decode(event.payload, type=str)
            found[transaction] = Transaction(transaction, 1, EventId(ending), event.time)
        elif event.kind == WRITTEN and not event.compacted:
            before = found.get(transaction)
            if before is not None:
                found[transaction] = attrs.evolve(
                    before,
                    version=event.version,
                    time=event.time,
                    events=(*before.events, _unpack_event(event.payload)),
                )
        elif event.kind in {COMMITTED, ROLLED_BACK}:
            found.pop(transaction, None)

    async def _ended(self, transaction: TransactionId) -> Event | None:
        """Return the event with which a transaction ended, or None if it is open."""
        if transaction in self._known:
            return None
        last = None
        async for event in self._store.read_stream(_stream(transaction), backward=True, limit=1):
            last = event
        if last is None:
            raise UnknownTransaction(transaction)
        return last if last.kind in {COMMITTED, ROLLED_BACK} else None

    async def _open(self, transaction: TransactionId) -> Transaction:
        known = self._known.get(transaction)
        if known is not None:
            return known
        ended = await self._ended(transaction)
        if ended is not None:
            gone = TransactionCommitted if ended.kind == COMMITTED else TransactionRolledBack
            raise gone(transaction)
        # Through the snapshot, for what was written may have been compacted under it.
        _, found = await self._read_all()
        if transaction not in found:
            raise UnknownTransaction(transaction)
        self._known[transaction] = found[transaction]
        return found[transaction]

    async def _trusting(self, transaction: TransactionId, call: Awaitable[Receipt]) -> Receipt:
        """Wait for an append, and forget what is known of the transaction if it does not end well.

        Who is cancelled, or sees a failure, does not know whether it was stored.
        """
        known = self._known.pop(transaction, None)
        receipt = await call
        if known is not None:
            self._known[transaction] = known
        return receipt


def _receipt(ended: Event) -> Receipt:
    """Return the receipt of a commit: its stream has one event to begin and one for each written.

    Raises:
        TransactionRolledBack: It was no commit.
    """
    if ended.kind == ROLLED_BACK:
        raise TransactionRolledBack(TransactionId(ended.stream.partition("/")[2]))
    written = ended.version - 2
    return Receipt(ended.position - written, ended.position, ended.digest)
