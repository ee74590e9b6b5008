"""What it costs to be observed: the main job with everything switched on beside nothing."""

from __future__ import annotations

from benchmarks import _observed as job
from benchmarks import _toka as ours
from workshop.measure import Measure, at_most
from workshop.shell import ROOT

RUNS, SMALL_RUNS = 3, 8
SMALL = ROOT / "packages" / "toka-kernel"
STEPS = 300


def measures() -> list[Measure]:
    """Return what this suite measures."""
    return [
        Measure(
            "the main job in a service that is observed",
            "s of CPU",
            {
                "ours": job.served_runs(RUNS, ROOT, observed=True),
                "off": job.served_runs(RUNS, ROOT, observed=False),
            },
            [at_most(1.05, times="off")],
            runs=11,
        ),
        Measure(
            "the same on a small target, which shows best what is added",
            "s of CPU",
            {
                "ours": job.served_runs(SMALL_RUNS, SMALL, observed=True),
                "off": job.served_runs(SMALL_RUNS, SMALL, observed=False),
            },
        ),
        Measure(
            "the main job as one command, with its start",
            "s of CPU",
            {"ours": job.whole_command(observed=True), "off": job.whole_command(observed=False)},
        ),
        Measure(
            "durable no-op steps, a span for each and nothing else to do",
            "us of CPU a step",
            {
                "ours": ours.traced_steps(STEPS, observed=True),
                "off": ours.traced_steps(STEPS, observed=False),
            },
        ),
    ]
