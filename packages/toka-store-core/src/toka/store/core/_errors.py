"""Everything a store refuses, and everything that can happen to it.

    StoreError
    ├── AppendRefused            the append is at fault; the store is as it was before
    │   ├── InvalidEvent         a field breaks a rule
    │   ├── PayloadTooLarge
    │   ├── WrongVersion         a stream is not at the version that was expected
    │   ├── WrongHead            the log is not at the position that was expected: another writer
    │   ├── ConditionFailed      an event is there that the append demands to be absent
    │   ├── UnknownParent
    │   └── DuplicateEvent       the identifier is taken by another event, or only partly there
    ├── OpenRefused              nothing was opened and nothing was written
    │   ├── UnknownScheme
    │   ├── StoreMissing
    │   ├── StoreLocked          another process or another store object writes here
    │   ├── ForeignFile          not a file of ours
    │   └── NewerFormat          written by a later release
    ├── UnknownEvent
    ├── InvalidSnapshot
    ├── UnknownSnapshot
    ├── CopyRefused              the target's log is not changed by what was refused
    │   └── NotAPrefix           the target holds another log, or a longer one
    ├── TransactionError
    │   ├── UnknownTransaction
    │   ├── TransactionCommitted
    │   └── TransactionRolledBack
    ├── InvalidUpcaster          steps between versions that do not fit together
    ├── UpcastFailed             a step does not take an old payload
    ├── StoreClosed
    ├── ReadOnlyStore
    ├── StoreBusy                too much waits to be written; nothing was enqueued
    ├── StoreFull                the bound of a memory store
    ├── StoreFailed              input or output failed; open again to go on
    ├── Damaged                  stored bytes are not what was written
    └── Unsupported              the backend declares that it cannot do this

Every class keeps its facts in `details`, so that they survive logging and pickling. What refuses an
append is in `_append_errors`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from toka.types import TokaError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toka.types import Json


class StoreError(TokaError):
    """The base of every error of an event store."""

    default_code = "store.error"


class OpenRefused(StoreError):
    """A store cannot be opened here; nothing was written."""

    default_code = "store.open_refused"


class UnknownScheme(OpenRefused, ValueError):
    """No installed distribution serves the scheme of a store's URL."""

    default_code = "store.unknown_scheme"

    def __init__(self, url: str, installed: Sequence[str]) -> None:
        scheme = url.partition(":")[0][:40]
        names = ", ".join(f"{name}:" for name in installed) or "none"
        super().__init__(
            f"No installed store serves the scheme {scheme!r}.",
            hint=f"Installed: {names}. An address is SCHEME:LOCATION, as in sqlite:run.db.",
            details={"scheme": scheme, "installed": list(installed)},
        )


class StoreMissing(OpenRefused):
    """There is no store at the location, and none was to be created."""

    default_code = "store.missing"

    def __init__(self, location: str) -> None:
        super().__init__(
            f"There is no store at {location}.",
            hint="Check the path, or open it with create=True and without read_only.",
            details={"location": location},
        )


class StoreLocked(OpenRefused):
    """Another writer has the store open."""

    default_code = "store.locked"

    def __init__(self, location: str, pid: int | None, since: int | None, when: str = "") -> None:
        """Say who holds the store.

        Args:
            location: Of the store.
            pid: The holder's process, where it is known.
            since: When it opened the store, in nanoseconds since the Unix epoch.
            when: The same for people.
        """
        holder = "another writer" if pid is None else f"process {pid}"
        since_when = f" since {when}" if when else ""
        super().__init__(
            f"{location} is open for writing in {holder}{since_when}.",
            hint="Stop it first, or open the store with read_only=True.",
            details={"location": location, "pid": pid, "since": since},
        )

    @property
    def pid(self) -> int | None:
        """Return the holder's process, or None where it is not known."""
        return _integer(self.details.get("pid"))

    @property
    def since(self) -> int | None:
        """Return when the holder opened the store, in nanoseconds since the epoch, or None."""
        return _integer(self.details.get("since"))


class ForeignFile(OpenRefused):
    """The file belongs to another program, or is no store at all."""

    default_code = "store.foreign_file"

    def __init__(self, location: str, what: str) -> None:
        super().__init__(
            f"{location} is not an event store: {what}.",
            hint="Choose another path; this file was left as it is.",
            details={"location": location, "what": what},
        )


class NewerFormat(OpenRefused):
    """The store was written by a release that knows more than this one."""

    default_code = "store.newer_format"

    def __init__(self, location: str, found: int, known: int) -> None:
        super().__init__(
            f"{location} has format {found}; this release reads up to format {known}.",
            hint="Upgrade Toka; the file was left as it is.",
            details={"location": location, "found": found, "known": known},
        )


class UnknownEvent(StoreError, LookupError):
    """No event of this identifier is in the log."""

    default_code = "store.unknown_event"

    def __init__(self, event_id: str) -> None:
        super().__init__(f"Event {event_id} is not in this log.", details={"event": event_id})


class InvalidSnapshot(StoreError, ValueError):
    """A snapshot has no name, or claims a position that the log has not reached."""

    default_code = "store.invalid_snapshot"


class UnknownSnapshot(StoreError, LookupError):
    """There is no snapshot of this name, so there is nothing that it could cover."""

    default_code = "store.unknown_snapshot"

    def __init__(self, name: str, location: str) -> None:
        super().__init__(
            f"{location} keeps no snapshot {name!r}.",
            hint="Save a snapshot first; its events can be compacted then.",
            details={"name": name, "location": location},
        )


class CopyRefused(StoreError):
    """A log cannot be copied, or not any further."""

    default_code = "store.copy_refused"


class NotAPrefix(CopyRefused):
    """The target of a copy holds events that are not the first ones of the source."""

    default_code = "store.not_a_prefix"

    def __init__(self, source: str, target: str, source_head: int, target_head: int) -> None:
        super().__init__(
            f"{target} has {target_head} events that are not the first of the {source_head} events"
            f" of {source}.",
            hint="Copy to a store that is empty or holds the beginning of the same log.",
            details={
                "source": source,
                "target": target,
                "source_head": source_head,
                "target_head": target_head,
            },
        )


class TransactionError(StoreError):
    """A long transaction cannot do what was asked."""

    default_code = "store.transaction"


class UnknownTransaction(TransactionError, LookupError):
    """No transaction of this identifier was begun in this store."""

    default_code = "store.unknown_transaction"

    def __init__(self, transaction: str) -> None:
        super().__init__(
            f"The transaction {transaction} was not begun in this store.",
            details={"transaction": transaction},
        )


class TransactionCommitted(TransactionError):
    """The transaction is committed and cannot be changed."""

    default_code = "store.transaction_committed"

    def __init__(self, transaction: str) -> None:
        super().__init__(
            f"The transaction {transaction} is committed.",
            hint="Begin another one.",
            details={"transaction": transaction},
        )


class TransactionRolledBack(TransactionError):
    """The transaction is rolled back and cannot be changed."""

    default_code = "store.transaction_rolled_back"

    def __init__(self, transaction: str) -> None:
        super().__init__(
            f"The transaction {transaction} is rolled back.",
            hint="Begin another one.",
            details={"transaction": transaction},
        )


class InvalidUpcaster(StoreError, ValueError):
    """Steps between versions of kinds do not fit together; none of them is registered."""

    default_code = "store.invalid_upcaster"

    def __init__(self, kind: str, what: str) -> None:
        super().__init__(
            f"The step from {kind} cannot be registered: {what}.",
            details={"kind": kind, "what": what},
        )


class UpcastFailed(StoreError):
    """An old payload is not what the step to the next version takes."""

    default_code = "store.upcast_failed"

    def __init__(self, event_id: str, position: int, kind: str, target: str) -> None:
        super().__init__(
            f"The payload of event {event_id} at position {position} cannot be read as {target}:"
            f" the step from {kind} failed.",
            hint="Correct the step; the stored event is as it was written.",
            details={"event": event_id, "position": position, "kind": kind, "target": target},
        )


class StoreClosed(StoreError):
    """The store was closed."""

    default_code = "store.closed"

    def __init__(self, location: str) -> None:
        super().__init__(f"The store {location} is closed.", details={"location": location})


class ReadOnlyStore(StoreError):
    """The store was opened for reading only."""

    default_code = "store.read_only"

    def __init__(self, location: str) -> None:
        super().__init__(
            f"The store {location} is open for reading only.",
            hint="Open it without read_only to write.",
            details={"location": location},
        )


class StoreBusy(StoreError):
    """More waits to be written than the store holds in memory; this was not enqueued."""

    default_code = "store.busy"

    def __init__(self, waiting: int, limit: int, unit: str) -> None:
        super().__init__(
            f"{waiting} {unit} wait to be written; the limit is {limit}.",
            hint="Append again when earlier appends have been acknowledged.",
            details={"waiting": waiting, "limit": limit, "unit": unit},
        )


class StoreFull(StoreError):
    """A bounded store holds as much as it may; nothing of the append was stored."""

    default_code = "store.full"

    def __init__(self, needed: int, limit: int, unit: str) -> None:
        super().__init__(
            f"The append would bring the store to {needed} {unit}; its bound is {limit}.",
            hint="Raise the bound, or use a store on disk.",
            details={"needed": needed, "limit": limit, "unit": unit},
        )


class StoreFailed(StoreError):
    """Input or output failed. A writer that failed acknowledges nothing until it is reopened."""

    default_code = "store.failed"


class Damaged(StoreError):
    """Stored bytes are not what was written. Nothing was changed."""

    default_code = "store.damaged"

    def __init__(
        self, location: str, what: str, *, position: int | None = None, hint: str = ""
    ) -> None:
        """Say what is damaged.

        Args:
            location: Of the store.
            what: The finding, as the end of a sentence.
            position: Of the event concerned, if it is one event.
            hint: What to do, where that is not to restore a backup.
        """
        where = "" if position is None else f" at position {position}"
        super().__init__(
            f"{location} is damaged{where}: {what}.",
            hint=hint or "Nothing was written. Keep the files and restore a backup.",
            details={"location": location, "what": what, "position": position},
        )

    @property
    def position(self) -> int | None:
        """Return the position of the event concerned, or None."""
        return _integer(self.details.get("position"))


class Unsupported(StoreError):
    """The backend declares in its capabilities that it cannot do this."""

    default_code = "store.unsupported"


def _integer(fact: Json) -> int | None:
    return fact if isinstance(fact, int) else None
