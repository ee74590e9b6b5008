"""`toka agents`: the agents of a run, what they did and what they may do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import anyio
import attrs
import click

from toka.cli._data_directory import DataDirectory
from toka.cli._errors import UsageError
from toka.cli._exits import Exit
from toka.cli._options import data_dir_option, json_option, url_options
from toka.cli._rows import AgentRow, AgentRows, folded
from toka.cli._show import COLOURS, MARKS, cost, count, printable
from toka.cli._status import RunPage

if TYPE_CHECKING:
    from pathlib import Path

    from toka.cli._client import Client


@attrs.frozen
class RunDetail:
    """What a service says of a run, as far as it is needed here."""

    agents: tuple[AgentRow, ...]


@click.command(
    "agents",
    epilog="""\b
Examples:
  toka agents
  toka agents 01JD3X8ZK5Q6T7V8W9XAYBZCDE --json""",
)
@click.argument("run", required=False, default="")
@data_dir_option
@url_options
@json_option
def command(*, run: str, data_dir: Path, url: str | None, token: str | None, as_json: bool) -> int:
    """Show the agents of RUN, the newest one by default, with what they may do."""
    if url:
        agents = anyio.run(_remote, url, token, run)
    else:
        agents = anyio.run(_local, DataDirectory(data_dir), run)
    if as_json:
        click.echo(json.dumps([attrs.asdict(agent) for agent in agents]))
        return Exit.MET
    for agent in agents:
        _print(agent)
    return Exit.MET


async def _local(data: DataDirectory, run: str) -> list[AgentRows]:
    async with folded(data) as runs:
        known = {str(view.run): view for view in runs.by_id.values()}
        view = known.get(_chosen(run, list(known)))
        if view is None:
            raise _unknown(run)
        return [AgentRows.of(agent) for path, agent in view.agents.items() if path != view.run]


async def _remote(url: str, token: str | None, run: str) -> list[AgentRows]:
    from toka.cli._client import Client  # noqa: PLC0415 - aiohttp

    async with Client(url, token) as client:
        wanted = run or await _newest(client)
        detail = await client.get(f"/v1/runs/{wanted}", RunDetail)
        return [await client.get(f"/v1/agents/{agent.agent}", AgentRows) for agent in detail.agents]


async def _newest(client: Client) -> str:
    known: list[str] = []
    after: str | None = ""
    while after is not None:
        page = await client.get("/v1/runs", RunPage, after=after, limit="500", order="oldest")
        known += [row.run for row in page.runs]
        after = page.next
    return _chosen("", known)


def _chosen(run: str, known: list[str]) -> str:
    if run:
        return run
    if not known:
        raise UsageError("There is no run yet.", hint="`toka run` begins one.")
    return known[-1]


def _unknown(run: str) -> UsageError:
    return UsageError(
        f"There is no run {printable(run, 40)!r} here.", hint="`toka status` lists the runs."
    )


def _print(rows: AgentRows) -> None:
    agent = rows.agent
    mark = click.style(f"{MARKS.get(agent.state, ' ')} ", fg=COLOURS.get(agent.state))
    facts = (agent.state, count(agent.steps, "step"), cost(agent.spent.amounts))
    said = ", ".join(fact for fact in facts if fact)
    reason = f": {printable(agent.reason)}" if agent.reason else ""
    click.echo(f"{mark}{printable(agent.name, 64)}  {said}{reason}")
    for task in rows.tasks:
        mark = click.style(MARKS.get(task.state, " "), fg=COLOURS.get(task.state))
        reason = f": {printable(task.reason)}" if task.reason else ""
        what = f"{printable(task.description, 80)} ({task.state}, {count(task.steps, 'step')})"
        click.echo(f"    {mark} {what}{reason}")
    for permission in rows.permissions:
        click.echo(f"    may {printable(permission)}")
