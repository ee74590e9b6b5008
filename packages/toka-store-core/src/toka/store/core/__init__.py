"""The event store protocol, its value types and errors, and how a store is opened.

`toka.store.core.conformance` has the tests that define a correct backend, and
`toka.store.core.testing` has helpers for tests of what is built on stores.
"""

from toka.store.core._check import check_event
from toka.store.core._errors import (
    AppendRefused,
    Damaged,
    DuplicateEvent,
    ForeignFile,
    InvalidEvent,
    InvalidSnapshot,
    NewerFormat,
    OpenRefused,
    PayloadTooLarge,
    ReadOnlyStore,
    StoreBusy,
    StoreClosed,
    StoreError,
    StoreFailed,
    StoreFull,
    StoreLocked,
    StoreMissing,
    UnknownEvent,
    UnknownParent,
    UnknownScheme,
    Unsupported,
    WrongHead,
    WrongVersion,
)
from toka.store.core._event import (
    EMPTY,
    ORIGIN,
    Event,
    Head,
    NewEvent,
    Receipt,
    header_bytes,
    header_digest,
    make_event,
    payload_digest,
)
from toka.store.core._expected import ANY, EXISTS, NONE, Expected, Revision, meets
from toka.store.core._graph import closure
from toka.store.core._identifier import pack_id, unpack_id
from toka.store.core._limits import (
    MAX_PARENTS,
    MAX_PAYLOAD_BYTES,
    MAX_TAGS,
    MAX_TEXT_CHARACTERS,
    MAX_TIME,
)
from toka.store.core._location import split_location
from toka.store.core._open import Backend, open_store
from toka.store.core._protocol import Capabilities, EventStore, StoreStats
from toka.store.core._query import EVERYTHING, Absent, Query
from toka.store.core._snapshot import Snapshot, check_snapshot, snapshot_checksum
from toka.store.core._verify import ChainCheck, Problem, VerifyReport

__all__ = [
    "ANY",
    "EMPTY",
    "EVERYTHING",
    "EXISTS",
    "MAX_PARENTS",
    "MAX_PAYLOAD_BYTES",
    "MAX_TAGS",
    "MAX_TEXT_CHARACTERS",
    "MAX_TIME",
    "NONE",
    "ORIGIN",
    "Absent",
    "AppendRefused",
    "Backend",
    "Capabilities",
    "ChainCheck",
    "Damaged",
    "DuplicateEvent",
    "Event",
    "EventStore",
    "Expected",
    "ForeignFile",
    "Head",
    "InvalidEvent",
    "InvalidSnapshot",
    "NewEvent",
    "NewerFormat",
    "OpenRefused",
    "PayloadTooLarge",
    "Problem",
    "Query",
    "ReadOnlyStore",
    "Receipt",
    "Revision",
    "Snapshot",
    "StoreBusy",
    "StoreClosed",
    "StoreError",
    "StoreFailed",
    "StoreFull",
    "StoreLocked",
    "StoreMissing",
    "StoreStats",
    "UnknownEvent",
    "UnknownParent",
    "UnknownScheme",
    "Unsupported",
    "VerifyReport",
    "WrongHead",
    "WrongVersion",
    "check_event",
    "check_snapshot",
    "closure",
    "header_bytes",
    "header_digest",
    "make_event",
    "meets",
    "open_store",
    "pack_id",
    "payload_digest",
    "snapshot_checksum",
    "split_location",
    "unpack_id",
]
