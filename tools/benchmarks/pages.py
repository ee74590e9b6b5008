"""What people look at, with 10,000 tasks and 1,000,000 events in the log.

Writing such a log takes a minute of processor time; `TOKA_BENCH_EVENTS` says how many events it
has, with a hundredth as many tasks.
"""

from __future__ import annotations

import os
from typing import Final

from benchmarks._service_long_log import LongLog
from workshop.measure import Measure, at_most

EVENTS: Final = int(os.environ.get("TOKA_BENCH_EVENTS", "1000000"))
_EVENTS_A_TASK: Final = 100


def measures() -> list[Measure]:
    """Return what this suite measures."""
    log = LongLog(EVENTS // _EVENTS_A_TASK, EVENTS)
    size = f"{EVENTS // _EVENTS_A_TASK:,} tasks and {EVENTS:,} events"
    return [
        Measure(
            f"the slowest request's median, with {size}",
            "ms",
            {"ours": log.requests},
            [at_most(200)],
        ),
        Measure(
            f"the slowest page's median, with {size}",
            "ms",
            {"ours": log.pages},
            [at_most(200)],
        ),
        Measure(
            f"the slowest page's first paint in Chromium, with {size}",
            "ms",
            {"ours": log.paints},
            [at_most(1_000)],
        ),
    ]
