"""Durable agents: steps, turns, bytes and start, beside a bare database and others' machinery."""

from __future__ import annotations

from benchmarks import _toka as ours
from benchmarks import agents_peers as peers
from benchmarks._resume import goes_on_after
from workshop.measure import Measure, at_least, at_most

STEPS = 60
STEPS_OF_ONE = 300
"""Enough for a run to be longer than a hiccup of the disk."""
AT_ONCE = 16
GROWING_STEPS, GROWTH = 300, 500


def measures() -> list[Measure]:
    """Return what this suite measures."""
    return [
        Measure(
            "durable no-op steps of one task",
            "steps/s",
            {
                "ours": ours.durable_steps(STEPS_OF_ONE),
                "sqlite3": peers.bare_sqlite(STEPS_OF_ONE),
                "LangGraph": peers.langgraph(STEPS_OF_ONE),
            },
            [at_least(0.7, times="sqlite3"), at_least(2, times="LangGraph")],
        ),
        Measure(
            f"durable no-op steps of {AT_ONCE} tasks at once",
            "steps/s",
            {
                "ours": ours.durable_steps(STEPS, AT_ONCE),
                "LangGraph": peers.langgraph(STEPS, AT_ONCE),
                "DBOS on SQLite": peers.dbos(STEPS, AT_ONCE),
                "DBOS on PostgreSQL": peers.dbos_on_postgres(STEPS, AT_ONCE),
            },
            [
                at_least(2000),
                at_least(8, times="LangGraph"),
                at_least(10, times="DBOS on PostgreSQL"),
            ],
        ),
        Measure(
            "agent turn at 10 turns",
            "ms",
            {"ours": ours.agent_turn(10)},
            [at_most(2)],
        ),
        Measure(
            "agent turn at 200 turns",
            "ms",
            {"ours": ours.agent_turn(200), "ours at 10": ours.agent_turn(10)},
            [at_most(2), at_most(1.25, times="ours at 10")],
        ),
        Measure(
            "stored for a no-op step",
            "KB",
            {"ours": ours.bytes_a_step(1_000)},
            [at_most(0.5)],
        ),
        Measure(
            f"stored for a list that grows {GROWTH} B a step, {GROWING_STEPS} steps",
            "MB",
            {
                "ours": ours.megabytes(GROWING_STEPS, GROWTH),
                "half the steps": ours.megabytes(GROWING_STEPS // 2, GROWTH),
            },
            [at_most(2.2, times="half the steps")],
        ),
        Measure(
            "import toka.agent_runtime, cold",
            "s of CPU",
            {"ours": ours.import_seconds("import toka.agent_runtime")},
            [at_most(0.35)],
        ),
        Measure(
            "a killed run goes on under toka serve, from the start of the process",
            "s",
            {"ours": goes_on_after()},
            [at_most(1)],
        ),
        Measure(
            "toka --version, cold",
            "s of CPU",
            {"ours": ours.import_seconds("from toka.cli import main; main(['--version'])")},
            [at_most(0.15)],
        ),
    ]
