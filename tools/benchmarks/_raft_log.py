"""The log of raft-storage on a disk: appending beside a bare file, and opening a large one.

The bare file gets the same data without frames: 16 KiB, then fdatasync. Nothing durable can be
faster, so the ratio says what checksums, frames and notes cost.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from raft_core import Entry
from raft_storage import FileStorage
from workshop.measure import Measure, at_least, at_most, scratch

if TYPE_CHECKING:
    from pathlib import Path

GROUP, SIZE, GROUPS = 64, 256, 200
DATA = os.urandom(SIZE)
LOG_SIZE = 2**30
_OPENED = """
import sys, time
from pathlib import Path
from raft_storage import FileStorage
def peak():
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])
before = peak()
began = time.perf_counter()
with FileStorage.open(sys.argv[1]) as store:
    took = time.perf_counter() - began
    print(store.recovery.bytes_read / took / 2**20, (peak() - before) / 2**10)
"""


def measures() -> list[Measure]:
    """Return what the disk decides."""
    return [
        Measure(
            "append and sync, groups of 64 records of 256 bytes",
            "records/s",
            {"ours": store_groups, "write + fdatasync": bare_groups},
            [at_least(0.8, times="write + fdatasync")],
        ),
        Measure("open a log of 1 GiB", "MiB/s", {"ours": opening_speed}, [at_least(200)]),
        Measure("memory to open a log of 1 GiB", "MiB", {"ours": opening_memory}, [at_most(128)]),
    ]


def store_groups() -> float:
    """Append groups to a store."""
    groups = [
        [Entry(1, group * GROUP + place, DATA) for place in range(1, GROUP + 1)]
        for group in range(GROUPS)
    ]
    with scratch() as folder, FileStorage.create(folder / "store") as store:
        began = time.perf_counter()
        for group in groups:
            store.save(entries=group)
        return GROUPS * GROUP / (time.perf_counter() - began)


def bare_groups() -> float:
    """Append the same bytes to a file."""
    group = DATA * GROUP
    with scratch() as folder:
        descriptor = os.open(folder / "file", os.O_WRONLY | os.O_CREAT)
        try:
            began = time.perf_counter()
            for _ in range(GROUPS):
                os.write(descriptor, group)
                os.fdatasync(descriptor)
            return GROUPS * GROUP / (time.perf_counter() - began)
        finally:
            os.close(descriptor)


def opening_speed() -> float:
    """Open a large log in a process of its own."""
    return _open_large()[0]


def opening_memory() -> float:
    """Say by how much opening a large log makes a process grow."""
    return _open_large()[1]


def _open_large() -> tuple[float, float]:
    with scratch() as folder:
        _write_large(folder / "store")
        command = [sys.executable, "-c", _OPENED, folder / "store"]
        done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    speed, memory = done.stdout.split()
    return float(speed), float(memory)


def _write_large(path: Path) -> None:
    with FileStorage.create(path) as store:
        index = 0
        while index * SIZE < LOG_SIZE:
            group = [Entry(1, index + place, DATA) for place in range(1, 16_385)]
            index += len(group)
            store.save(entries=group)
