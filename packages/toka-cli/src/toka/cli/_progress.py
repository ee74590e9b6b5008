"""What `toka run` shows while a run goes on: lines, or JSON lines. The tree is in `_tree`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Protocol, Self

import click

from toka.cli._show import MARKS, cost, count, duration, moment, printable
from toka.types import AgentId, agent_name

if TYPE_CHECKING:
    from toka.orchestration import AgentView, RunResult, RunView, TaskView
    from toka.runtime import Logged
    from toka.types import Json


class Progress(Protocol):
    """Follows a run."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *raised: object) -> None: ...

    def follow(self, run: RunView, logged: Logged) -> None:
        """Take notice of an event that has changed `run`."""
        ...


class PlainProgress:
    """A line for each thing that begins or ends."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        pass

    def follow(self, run: RunView, logged: Logged) -> None:
        """Print a line if the event is worth one."""
        event = logged.event
        agent = run.agents.get(AgentId(event.stream))
        if agent is None:
            return
        text = _line(agent, event.kind, getattr(event.body, "task", None))
        if text:
            name = "" if agent.agent == run.run else f"{printable(agent.name, 40)}: "
            click.echo(f"[{duration(event.time - run.began):>6}] {name}{text}")


def _line(agent: AgentView, kind: str, number: object) -> str:
    task = agent.tasks.get(number) if isinstance(number, int) else None
    match kind.split(".")[:2]:
        case ["agent", "completed" | "failed" | "terminated" | "suspended" | "restarted" as what]:
            reason = f": {printable(agent.reason)}" if agent.reason else ""
            return f"{MARKS.get(agent.phase, '')} agent {what}{reason}"
        case ["task", "started"] if task:
            again = f" (attempt {task.attempt})" if task.attempt > 1 else ""
            return f"{MARKS['running']} {printable(task.description, 100)}{again}"
        case ["task", "completed" | "failed" | "cancelled" | "retried" | "released"] if task:
            return _end_of(task)
        case ["approval", "requested"]:
            return f"{MARKS['asking']} waits for an approval; see `toka approve`"
        case _:
            return ""


def _end_of(task: TaskView) -> str:
    reason = f": {printable(task.reason)}" if task.reason else ""
    spent = cost(task.spent)
    copied = f"{task.copied} copied" if task.copied else ""
    facts = ", ".join(part for part in (count(task.steps, "step"), copied, spent) if part)
    return f"{MARKS[task.phase]} {printable(task.description, 100)} {task.phase} ({facts}){reason}"


class JsonProgress:
    """A JSON object for each event of the run, one a line."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        pass

    def follow(self, run: RunView, logged: Logged) -> None:
        """Print the event."""
        event = logged.event
        agent = run.agents.get(AgentId(event.stream))
        line: dict[str, Json] = {
            "position": logged.position,
            "time": moment(event.time),
            "kind": event.kind,
            "event": event.id,
            "run": run.run,
            "agent": None if agent is None else agent.name,
        }
        task = getattr(event.body, "task", None)
        if agent is not None and isinstance(task, int) and task in agent.tasks:
            view = agent.tasks[task]
            line["task"] = {"id": view.task, "state": view.phase, "steps": view.steps}
        click.echo(json.dumps(line))


def print_result(result: RunResult, files: list[str], *, as_json: bool) -> None:
    """Print how a run ended: each agent with its objectives, and what was made."""
    if as_json:
        click.echo(json.dumps(_as_json(result, files)))
        return
    met = sum(agent.met for agent in result.agents)
    click.echo("")
    for agent in result.agents:
        mark = MARKS["completed" if agent.met else "failed"]
        reason = f": {printable(agent.reason)}" if agent.reason else ""
        click.echo(f"{mark} {agent_name(agent.agent)} {agent.state}{reason}")
        for objective in agent.objectives:
            why = "" if objective.met else f" ({printable(objective.why)})"
            click.echo(
                f"    {MARKS['completed' if objective.met else 'failed']} "
                f"{printable(objective.description)}{why}"
            )
    spent = cost(result.spent)
    click.echo(
        f"\nRun {result.run} {result.state}: {met} of {len(result.agents)} agents met their"
        f" objectives{f', {spent}' if spent else ''}."
    )
    for file in files:
        click.echo(f"  {file}")


def _as_json(result: RunResult, files: list[str]) -> dict[str, Json]:
    return {
        "kind": "result",
        "run": result.run,
        "name": result.name,
        "state": result.state,
        "met": result.met,
        "artifacts": result.artifacts,
        "files": files,
        "spent": {
            "money_micro_usd": result.spent.money,
            "tokens": result.spent.tokens,
            "calls": result.spent.calls,
        },
        "agents": [
            {
                "agent": agent_name(agent.agent),
                "state": agent.state,
                "met": agent.met,
                "reason": agent.reason,
                "objectives": [
                    {"description": each.description, "met": each.met, "why": each.why}
                    for each in agent.objectives
                ],
            }
            for agent in result.agents
        ],
    }
