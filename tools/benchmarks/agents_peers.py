"""What Toka's agents are measured beside: a bare database, and others' durable steps.

Each function returns a subject: it does the work once and returns steps a second.
"""
# Peers are installed for benchmarks only, so their types cannot be known where types are checked.
# pyright: basic, reportMissingImports=false

from __future__ import annotations

import asyncio
import sqlite3
import time
from typing import TYPE_CHECKING, TypedDict

from benchmarks._postgres import postgres
from workshop.measure import NotInstalled, scratch

if TYPE_CHECKING:
    from workshop.measure import Subject

STEP_BYTES = 500
"""What one no-op step of ours puts on disk, at most; the floor writes rows of this size."""


def bare_sqlite(steps: int, size: int = STEP_BYTES) -> Subject:
    """Return the floor: one row and one commit a step, WAL, synchronous FULL, nothing else."""

    def subject() -> float:
        with scratch() as folder:
            database = sqlite3.connect(folder / "floor.db", isolation_level=None)
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")
            database.execute("CREATE TABLE step (position INTEGER PRIMARY KEY, body BLOB)")
            body = b"x" * size
            began = time.perf_counter()
            for _ in range(steps):
                database.execute("INSERT INTO step (body) VALUES (?)", (body,))
            taken = time.perf_counter() - began
            database.close()
        return steps / taken

    return subject


def langgraph(steps: int, threads: int = 1) -> Subject:
    """Return LangGraph with AsyncSqliteSaver and durability=sync: a node that loops, doing nothing.

    Its SQLite runs in WAL mode with synchronous FULL, both its own choice.
    """

    def subject() -> float:
        with scratch() as folder:
            return asyncio.run(_langgraph(str(folder / "langgraph.db"), steps, threads))

    return subject


class Count(TypedDict):
    """The state of LangGraph's loop."""

    done: int


def no_op(state: Count) -> Count:
    """Do nothing but count, which is how the loop ends."""
    return {"done": state["done"] + 1}


async def _langgraph(path: str, steps: int, threads: int) -> float:
    try:
        from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver  # noqa: PLC0415 - optional
        from langgraph.graph import END, START, StateGraph  # noqa: PLC0415 - optional
    except ImportError as error:
        raise NotInstalled(f"langgraph, of the group bench ({error})") from error

    graph = StateGraph(Count)
    graph.add_node("step", no_op)
    graph.add_edge(START, "step")
    graph.add_conditional_edges("step", lambda it: "step" if it["done"] < steps else END)
    async with AsyncSqliteSaver.from_conn_string(path) as saver:
        await saver.setup()
        program = graph.compile(checkpointer=saver)

        async def thread(number: int) -> None:
            config = {"configurable": {"thread_id": str(number)}, "recursion_limit": steps + 5}
            final = await program.ainvoke({"done": 0}, config, durability="sync")
            assert final["done"] == steps  # noqa: S101 - a benchmark that did not do the work lies

        began = time.perf_counter()
        await asyncio.gather(*(thread(number) for number in range(threads)))
        return steps * threads / (time.perf_counter() - began)


def dbos(steps: int, tasks: int, database_url: str | None = None) -> Subject:
    """Return DBOS: workflows of no-op steps, in SQLite as it sets it up, or in a given database."""

    def subject() -> float:
        with scratch() as folder:
            return _dbos(database_url or f"sqlite:///{folder / 'dbos.db'}", steps, tasks)

    return subject


def dbos_on_postgres(steps: int, tasks: int) -> Subject:
    """Return DBOS on a PostgreSQL server that is started for it."""

    def subject() -> float:
        with postgres() as url:
            return dbos(steps, tasks, url)()

    return subject


def _dbos(database_url: str, steps: int, tasks: int) -> float:
    try:
        from dbos import DBOS  # noqa: PLC0415 - optional
    except ImportError as error:
        raise NotInstalled(f"dbos, of the group bench ({error})") from error
    DBOS(
        config={
            "name": "bench",
            "system_database_url": database_url,
            "run_admin_server": False,
            "log_level": "ERROR",
        }
    )

    @DBOS.step()
    def step(number: int) -> int:
        return number

    @DBOS.workflow()
    def workflow() -> int:
        return sum(step(1) for _ in range(steps))

    DBOS.launch()
    try:
        began = time.perf_counter()
        handles = [DBOS.start_workflow(workflow) for _ in range(tasks)]
        assert all(handle.get_result() == steps for handle in handles)  # noqa: S101 - as above
        return steps * tasks / (time.perf_counter() - began)
    finally:
        DBOS.destroy(destroy_registry=True)
