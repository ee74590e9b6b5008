"""A kit for authors of backends: what a store needs that is no engine's own.

A store in memory or behind a server takes `PagedStore`, which reads page by page. One on an engine
whose calls block takes `ThreadedStore`: it brings its reader (`StoreReader`), where that reads
(`Source`), a `Draft`, and a `GroupWriter` of four methods; the threads, the group commit, the
bounded queue, the lock and the head file are here. `Pending` serves writers that are no thread.

It is all on asyncio, but for `PagedStore` and `News`, which need no event loop in particular.
"""

from toka.store.core.backend._bell import Bell, make_bell
from toka.store.core.backend._group_writer import Draft, GroupWriter, Stored, repetition
from toka.store.core.backend._head_file import HeadFile, Recorded, read_head
from toka.store.core.backend._items import Append, Item, Job, Outcome, Progress
from toka.store.core.backend._lock import WriterLock
from toka.store.core.backend._news import News
from toka.store.core.backend._paged_store import NO_BUDGET, PagedStore
from toka.store.core.backend._pending import (
    MAX_WAITING,
    MAX_WAITING_BYTES,
    NO_EXPECTATIONS,
    Pending,
)
from toka.store.core.backend._readings import Readings, Source, Translate
from toka.store.core.backend._sync_directory import sync_directory
from toka.store.core.backend._threaded_store import StoreReader, ThreadedStore, need_asyncio
from toka.store.core.backend._worker import Handler, Worker
from toka.store.core.backend._writings import Writings

__all__ = [
    "MAX_WAITING",
    "MAX_WAITING_BYTES",
    "NO_BUDGET",
    "NO_EXPECTATIONS",
    "Append",
    "Bell",
    "Draft",
    "GroupWriter",
    "Handler",
    "HeadFile",
    "Item",
    "Job",
    "News",
    "Outcome",
    "PagedStore",
    "Pending",
    "Progress",
    "Readings",
    "Recorded",
    "Source",
    "StoreReader",
    "Stored",
    "ThreadedStore",
    "Translate",
    "Worker",
    "WriterLock",
    "Writings",
    "make_bell",
    "need_asyncio",
    "read_head",
    "repetition",
    "sync_directory",
]
