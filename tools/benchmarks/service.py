"""The service under load: runs begun, runs listed, events listened to, and a log that is long.

Nothing that others would use stands beside it: the bars are absolute, and a machine that does other
work meanwhile misses them. `TOKA_BENCH_SECONDS` says how long a load lasts, 10 if it is not set;
with 600 of them the figures are those that the bars were set for.
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING, Any, Final

from benchmarks import _service_load as service
from benchmarks._service_events import delays
from workshop.measure import Measure, at_least, at_most, scratch

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks._service_load import Load, Server
    from workshop.measure import Subject

CLIENTS: Final = 64
SEEDED: Final = 200
RUNS_A_SECOND: Final = 300
SECONDS: Final = float(os.environ.get("TOKA_BENCH_SECONDS", "10"))
LISTENERS, EVENTS_A_SECOND = 500, 200
_SETTLED: Final = 2.5
"""Seconds after which a file counts as settled and is read no more."""
_PATIENCE: Final = 300.0


def _loaded(
    request: Callable[[Server], bytes], take: Callable[[Load], float], pace: float = 0
) -> Subject:
    def subject() -> float:
        with scratch() as folder, service.served(folder) as server:
            time.sleep(_SETTLED)
            start = server.request("POST", "/v1/runs", {"source": "idle.yaml"})
            asyncio.run(service.load(server, start, 8, SEEDED / 100))
            _wait_for_ends(server)
            load = service.load(server, request(server), CLIENTS, SECONDS, pace=pace)
            return take(asyncio.run(load))

    return subject


def _start(server: Server) -> bytes:
    return server.request("POST", "/v1/runs", {"source": "idle.yaml"})


def _list(server: Server) -> bytes:
    return server.request("GET", "/v1/runs")


def _rate(load: Load) -> float:
    return load.rate


def _p99(load: Load) -> float:
    return load.percentile(0.99)


def _wait_for_ends(server: Server) -> None:
    deadline = time.monotonic() + _PATIENCE
    while server.get("/status")["current_phase"] != "idle":
        if time.monotonic() > deadline:
            raise TimeoutError(f"runs go on {_PATIENCE:g} s after the load")
        time.sleep(0.2)


def _lost() -> float:
    """Return how many runs were acknowledged under load and have not come to a good end."""
    with scratch() as folder, service.served(folder) as server:
        load = asyncio.run(service.load(server, _start(server), CLIENTS, SECONDS))
        _wait_for_ends(server)
        return len(load.latencies) - _completed(server)


def _completed(server: Server) -> int:
    count, after = 0, ""
    while True:
        page: Any = server.get(f"/v1/runs?state=completed&limit=500&after={after}")
        count += len(page["runs"])
        if page["next"] is None:
            return count
        after = page["next"]


def _growth() -> float:
    """Return the bytes of memory that one more run leaves behind, in the second half of a load."""
    with scratch() as folder, service.served(folder) as server:
        request = _start(server)
        # Enough for the runs that stay in memory, and for the allocator's habits.
        asyncio.run(service.load(server, request, CLIENTS, SECONDS))
        _wait_for_ends(server)
        before = server.resident_megabytes()
        load = asyncio.run(service.load(server, request, CLIENTS, SECONDS))
        _wait_for_ends(server)
        return (server.resident_megabytes() - before) * 1_024 / len(load.latencies)


def measures() -> list[Measure]:
    """Return what this suite measures."""
    return [
        Measure(
            f"POST /v1/runs of a no-op agent, {CLIENTS} clients",
            "1/s",
            {"ours": _loaded(_start, _rate)},
            [at_least(RUNS_A_SECOND)],
        ),
        Measure(
            # Who asks as often as he can waits for all the others: 64 clients at 300/s for 210 ms.
            f"p99 of POST /v1/runs, {CLIENTS} clients that begin {RUNS_A_SECOND} runs/s together",
            "ms",
            {"ours": _loaded(_start, _p99, RUNS_A_SECOND)},
            [at_most(150)],
        ),
        Measure(
            f"GET /v1/runs, {CLIENTS} clients",
            "1/s",
            {"ours": _loaded(_list, _rate)},
            [at_least(1_500)],
        ),
        Measure(
            f"p99 of GET /v1/runs, {CLIENTS} clients",
            "ms",
            {"ours": _loaded(_list, _p99)},
            [at_most(150)],
        ),
        Measure("runs lost under load", "runs", {"ours": _lost}, [at_most(0)]),
        Measure("memory that a run leaves behind", "KiB", {"ours": _growth}, [at_most(1)]),
        Measure(
            f"p99 delay of {EVENTS_A_SECOND} events/s to {LISTENERS} who listen and get all",
            "ms",
            {"ours": delays(LISTENERS, EVENTS_A_SECOND, SECONDS)},
            [at_most(1_000)],
        ),
    ]
