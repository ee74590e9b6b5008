"""Raft: the core alone, three processes beside etcd and PySyncObj, and the log on a disk.

Ours and etcd run three nodes with files on a disk, every acknowledged write synced on two of them.
Clients are one process that talks to the leader, 8 of them to a connection; a value has 128 bytes.
Nodes and clients of every system run in the real-time class where that is permitted, so that a
busy machine takes nothing from them. PySyncObj keeps everything in memory and never syncs;
its clients run in its leader's process, which spares them the network.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from benchmarks import _raft_groups, _raft_log
from benchmarks._raft_core import committed
from benchmarks._raft_pysyncobj import pysyncobj
from workshop.measure import Measure, at_least, at_most

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from benchmarks._raft_groups import Leader
    from workshop.measure import Subject

    Group = Callable[[], AbstractContextManager[Leader]]

SECONDS: Final = 2.0


def measures() -> list[Measure]:
    """Return what the issue has numbers for."""
    ours, etcd = partial(seen, _raft_groups.ours), partial(seen, _raft_groups.etcd)
    return [
        Measure(
            "core alone, 3 nodes in memory, batches of 64",
            "proposals/s",
            {"ours": committed},
            [at_least(100_000)],
        ),
        Measure(
            "writes, 64 clients",
            "writes/s",
            {"ours": ours("write", 64), "etcd": etcd("write", 64), "PySyncObj": pysyncobj(64)},
            [at_least(2, times="etcd"), at_least(10, times="PySyncObj")],
        ),
        Measure(
            "writes, 1,024 clients",
            "writes/s",
            {"ours": ours("write", 1024), "etcd": etcd("write", 1024)},
            [at_least(2, times="etcd")],
        ),
        Measure(
            "writes, one client",
            "writes/s",
            {"ours": ours("write", 1), "etcd": etcd("write", 1)},
            [at_least(0.9, times="etcd")],
        ),
        Measure(
            "median latency of writes, one client",
            "ms",
            {"ours": ours("write", 1, "median", 1e3), "etcd": etcd("write", 1, "median", 1e3)},
            [at_most(1.1, times="etcd")],
        ),
        Measure(
            "linearizable reads, 64 clients",
            "reads/s",
            {"ours": ours("read", 64), "etcd": etcd("read", 64)},
            [at_least(15_000)],
        ),
        Measure(
            "syncs per batch, 64 clients",
            "syncs",
            {"ours": partial(spent, "syncs", "batches")},
            [at_most(1.1)],
        ),
        Measure(
            "CPU of the leader per write, 64 clients",
            "us",
            {"ours": partial(spent, "cpu_ns", "entries", 1e-3)},
            [at_most(60)],
        ),
        *_raft_log.measures(),
    ]


def seen(group: Group, kind: str, clients: int, what: str = "rate", factor: float = 1.0) -> Subject:
    """Return what clients see of a group."""

    def subject() -> float:
        with group() as leader:
            return leader.load(kind, clients, SECONDS)[what] * factor

    return subject


def spent(what: str, per: str, factor: float = 1.0) -> float:
    """Return how much of something our leader spends, for each of something else."""
    with _raft_groups.ours() as leader:
        before = leader.describe()
        leader.load("write", 64, SECONDS)
        after = leader.describe()
    return (after[what] - before[what]) / (after[per] - before[per]) * factor
