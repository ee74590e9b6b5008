"""Helpers for tests of what is built on stores, and of stores themselves.

`EventSource` makes events without effort, and `FaultyStore` is a store that fails on demand.
`LossyDisk` is a folder for any program that writes files: it records every call, and its
`Recording` then gives the states in which a power cut could have left the disk. It runs on FUSE
(the extra `testing`); all else here needs nothing. `memory_folder` is for the tests that no disk
should slow down.
"""

from toka.store.core.testing._damage import flip_bit, garbage_tail, truncate_file, zero_tail
from toka.store.core.testing._event_source import EventSource
from toka.store.core.testing._faulty_store import FaultyStore
from toka.store.core.testing._folder import memory_folder
from toka.store.core.testing._lossy_disk import DiskUnavailable, LossyDisk
from toka.store.core.testing._power_cut import DiskImage, Fate, Recording

__all__ = [
    "DiskImage",
    "DiskUnavailable",
    "EventSource",
    "Fate",
    "FaultyStore",
    "LossyDisk",
    "Recording",
    "flip_bit",
    "garbage_tail",
    "memory_folder",
    "truncate_file",
    "zero_tail",
]
