"""The live tree of a run in a terminal: agents and their tasks, redrawn as the log grows."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text
from rich.tree import Tree

from toka.cli._show import COLOURS, MARKS, cost, count, duration, printable

if TYPE_CHECKING:
    from rich.console import RenderableType

    from toka.orchestration import AgentView, RunView, TaskView
    from toka.runtime import Logged


class TreeProgress:
    """Draws the newest state of the run eight times a second; elapsed times go on by themselves."""

    def __init__(self) -> None:
        self._run: RunView | None = None
        self._live = Live(
            console=Console(), get_renderable=self._draw, refresh_per_second=8, transient=False
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._live.stop()

    def follow(self, run: RunView, logged: Logged) -> None:  # noqa: ARG002 - the protocol's
        """Keep the state for the next drawing."""
        self._run = run

    def _draw(self) -> RenderableType:
        run = self._run
        if run is None:
            return Text("starting ...", style="dim")
        tree = Tree(_headline(run))
        for path, agent in run.agents.items():
            if path != run.run:
                branch = tree.add(_agent_line(agent))
                for task in agent.tasks.values():
                    branch.add(_task_line(task))
        questions = [
            Text(f"? {printable(asked.question)}  (toka approve {asked.approval})", style="yellow")
            for asked in run.approvals.values()
        ]
        return Group(tree, *questions)


def _now() -> int:
    return time.time_ns()


def _elapsed(started: int | None, ended: int | None) -> str:
    return "" if started is None else duration((ended or _now()) - started)


def _headline(run: RunView) -> Text:
    facts = (
        run.run,
        _elapsed(run.began, run.root.ended),
        count(run.steps, "step"),
        cost(run.spent),
    )
    line = Text(printable(run.name), style="bold")
    line.append("  " + "  ".join(part for part in facts if part), style="dim")
    return line


def _agent_line(agent: AgentView) -> Text:
    line = Text(f"{MARKS[agent.phase]} ", style=COLOURS.get(agent.phase, "dim"))
    line.append(printable(agent.name), style="bold")
    elapsed = _elapsed(agent.started, agent.ended)
    facts = (agent.phase, elapsed, count(agent.steps, "step") if agent.steps else "")
    line.append("  " + "  ".join(part for part in (*facts, cost(agent.spent)) if part), style="dim")
    if agent.reason:
        line.append(f"  {printable(agent.reason)}", style=COLOURS.get(agent.phase, ""))
    return line


def _task_line(task: TaskView) -> Text:
    line = Text(f"{MARKS[task.phase]} ", style=COLOURS.get(task.phase, "dim"))
    line.append(printable(task.description, 80))
    attempt = f"attempt {task.attempt}" if task.attempt > 1 else ""
    steps = count(task.steps, "step") if task.steps else ""
    step = printable(task.step, 40) if task.phase == "running" else ""
    facts = (_elapsed(task.started, task.ended), steps, cost(task.spent), attempt, step)
    line.append("  " + "  ".join(part for part in facts if part), style="dim")
    return line
