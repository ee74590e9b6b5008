"""What commands show of runs and agents, from a log or from a service: the same rows."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import attrs

from toka.cli._show import moment
from toka.types import NOTHING, Amounts, root_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from toka.cli._data_directory import DataDirectory
    from toka.orchestration import AgentView, Runs, RunView


@attrs.frozen
class Spent:
    """What was used up, as a service says it."""

    money_micro_usd: int = 0
    tokens: int = 0
    calls: int = 0

    @classmethod
    def of(cls, amounts: Amounts) -> Spent:
        """Return the same, from a log."""
        return cls(amounts.money, amounts.tokens, amounts.calls)

    @property
    def amounts(self) -> Amounts:
        """The same, in the terms of the log."""
        return attrs.evolve(
            NOTHING, money=self.money_micro_usd, tokens=self.tokens, calls=self.calls
        )


@attrs.frozen
class RunRow:
    """A run in one line."""

    run: str
    name: str
    state: str
    began: str
    ended: str | None
    reason: str
    agents: int
    agents_ended: int
    steps: int
    spent: Spent
    approvals: int

    @classmethod
    def of(cls, view: RunView, *, written: bool) -> RunRow:
        """Return the row of a run that was read from a log.

        Args:
            view: The run.
            written: A process has the log open for writing, so what has not ended goes on.
        """
        agents = [agent for path, agent in view.agents.items() if path != view.run]
        return cls(
            run=view.run,
            name=view.name,
            state=_state_of(view, written=written),
            began=moment(view.began),
            ended=_moment_or_none(view.root.ended),
            reason=view.root.reason,
            agents=len(agents),
            agents_ended=sum(agent.ended is not None for agent in agents),
            steps=view.steps,
            spent=Spent.of(view.spent),
            approvals=0 if view.ended else len(view.approvals),
        )


def _state_of(view: RunView, *, written: bool) -> str:
    match view.root.phase:
        case "completed" | "failed" as phase:
            return phase
        case "terminated":
            return "cancelled"
        case _:
            return "running" if written else "interrupted"


@attrs.frozen
class TaskRow:
    """A task of an agent."""

    task: str
    description: str
    state: str
    steps: int
    reason: str


@attrs.frozen
class AgentRow:
    """An agent in one line."""

    agent: str
    run: str
    name: str
    state: str
    started: str | None
    ended: str | None
    reason: str
    steps: int
    spent: Spent

    @classmethod
    def of(cls, view: AgentView) -> AgentRow:
        """Return the row of an agent that was read from a log."""
        return cls(
            agent=view.agent,
            run=root_of(view.agent),
            name=view.name,
            state=view.phase,
            started=_moment_or_none(view.started),
            ended=_moment_or_none(view.ended),
            reason=view.reason,
            steps=view.steps,
            spent=Spent.of(view.spent),
        )


@attrs.frozen
class AgentRows:
    """An agent with its tasks and what it may do."""

    agent: AgentRow
    permissions: tuple[str, ...]
    tasks: tuple[TaskRow, ...]

    @classmethod
    def of(cls, view: AgentView) -> AgentRows:
        """Return the rows of an agent that was read from a log."""
        tasks = tuple(
            TaskRow(task.task, task.description, task.phase, task.steps, task.reason)
            for task in view.tasks.values()
        )
        return cls(AgentRow.of(view), view.permissions, tasks)


def _moment_or_none(nanoseconds: int | None) -> str | None:
    return None if nanoseconds is None else moment(nanoseconds)


@asynccontextmanager
async def folded(data: DataDirectory) -> AsyncGenerator[Runs, None]:
    """Read every run of a data directory, beside whoever writes there.

    Raises:
        NoDataDirectory: There is no log to read.
        StoreError: It cannot be read.
    """
    from toka.orchestration import Runs  # noqa: PLC0415 - not for --help
    from toka.runtime import from_store  # noqa: PLC0415

    runs = Runs()
    async with data.open_log(read_only=True) as store:
        async for stored in store.read():
            runs.apply(from_store(stored))
        yield runs
