"""Durable steps of agents: how many a second, beside a bare database and others' machinery.

Ours is not here yet. It is a subject like the others (see `workshop.measure`): it runs `steps`
no-op steps in each of `tasks` tasks at once, durably (SQLite, synchronous FULL), in `scratch()`,
and returns steps a second. It goes into `ours` below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import agents_peers as peers
from workshop.measure import Measure, NotInstalled, at_least

if TYPE_CHECKING:
    from workshop.measure import Subject

STEPS = 60
AT_ONCE = 16


def ours(steps: int, tasks: int = 1) -> Subject:
    """Return Toka's own subject."""

    def subject() -> float:
        raise NotInstalled(f"no subject of ours runs {steps} steps of {tasks} tasks yet")

    return subject


def measures() -> list[Measure]:
    """Return what this suite measures."""
    return [
        Measure(
            "durable no-op steps of one task",
            "steps/s",
            {
                "ours": ours(STEPS),
                "sqlite3": peers.bare_sqlite(STEPS),
                "LangGraph": peers.langgraph(STEPS),
            },
            [at_least(0.7, times="sqlite3"), at_least(2, times="LangGraph")],
        ),
        Measure(
            f"durable no-op steps of {AT_ONCE} tasks at once",
            "steps/s",
            {
                "ours": ours(STEPS, AT_ONCE),
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
    ]
