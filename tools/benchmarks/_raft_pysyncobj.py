"""PySyncObj: three processes on loopback, everything in memory, its own settings.

Its clients are calls with a callback in the leader's process: each begins the next when it is done.
"""
# Peers are installed for benchmarks only, so their types cannot be known where types are checked.
# pyright: basic, reportMissingImports=false

from __future__ import annotations

import importlib.util
import sys
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from benchmarks._raft_groups import HOST, free_ports, process, start
from workshop.measure import NotInstalled
from workshop.shell import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from workshop.measure import Subject

SECONDS: Final = 2.0


def pysyncobj(clients: int) -> Subject:
    """Return writes a second, as so many clients see it."""

    def subject() -> float:
        if importlib.util.find_spec("pysyncobj") is None:
            raise NotInstalled("PySyncObj is not installed; it is in the group `bench`")
        places = [f"{HOST}:{port}" for port in free_ports(3)]
        module = [sys.executable, "-m", "benchmarks._raft_pysyncobj", str(clients)]
        environment = {"PYTHONPATH": str(ROOT / "tools")}
        with ExitStack() as running:
            nodes = [
                start([*module, place, *(other for other in places if other != place)], environment)
                for place in places
            ]
            for node in nodes:
                running.enter_context(process(node))
            return max(float(node.stdout.readline()) for node in nodes if node.stdout)

    return subject


def run(clients: int, own: str, others: list[str]) -> float:
    """Run one node; return what its clients saw, or 0 if it never led."""
    from pysyncobj import SyncObj, replicated  # noqa: PLC0415 - installed for benchmarks only

    class Table(SyncObj):
        def __init__(self) -> None:
            super().__init__(own, others)
            self.values: dict[str, bytes] = {}

        @replicated
        def put(self, key: str, value: bytes) -> None:
            self.values[key] = value

    table = Table()
    while not table.isReady() or table.getStatus()["leader"] is None:
        time.sleep(0.05)
    time.sleep(1)
    if str(table.getStatus()["leader"]) != own:
        return 0.0
    return _measure(table.put, clients)


def _measure(put: Callable[..., None], clients: int) -> float:
    count, counting, failures = [0], threading.Event(), list[object]()

    def again(number: int) -> None:
        def done(_: object, failed: object) -> None:
            if failed:
                failures.append(failed)
            count[0] += counting.is_set()
            again(number)

        put(f"key-{number}", b"v" * 128, callback=done)

    for number in range(clients):
        again(number)
    time.sleep(0.7)
    counting.set()
    began = time.perf_counter()
    time.sleep(SECONDS)
    taken = time.perf_counter() - began
    if failures:
        raise RuntimeError(f"PySyncObj refused {len(failures)} writes: {failures[0]}")
    return count[0] / taken


if __name__ == "__main__":
    print(run(int(sys.argv[1]), sys.argv[2], sys.argv[3:]), flush=True)
    time.sleep(60)  # the others need it until the leader is done; whoever started it ends it
