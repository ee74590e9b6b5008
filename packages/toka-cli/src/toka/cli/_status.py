"""`toka status`: the runs of a data directory or of a service."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import anyio
import attrs
import click

from toka.cli._data_directory import DataDirectory
from toka.cli._exits import Exit
from toka.cli._options import data_dir_option, json_option, url_options
from toka.cli._rows import RunRow, folded
from toka.cli._show import COLOURS, MARKS, cost, count, printable

if TYPE_CHECKING:
    from pathlib import Path


@attrs.frozen
class RunPage:
    """Some runs of a service."""

    runs: tuple[RunRow, ...]
    next: str | None


@click.command(
    "status",
    epilog="""\b
Examples:
  toka status
  toka status --json | jq '.[] | select(.state == "interrupted") | .run'
  toka status --url http://127.0.0.1:8080""",
)
@data_dir_option
@url_options
@json_option
def command(*, data_dir: Path, url: str | None, token: str | None, as_json: bool) -> int:
    """Show the runs of a data directory or of a service, oldest first."""
    data = DataDirectory(data_dir)
    rows = anyio.run(_remote, url, token) if url else anyio.run(_local, data)
    if as_json:
        click.echo(json.dumps([attrs.asdict(row) for row in rows]))
        return Exit.MET
    for row in rows:
        _print(row)
    if not rows:
        click.echo("No run yet. `toka run` begins one.")
    return Exit.MET


async def _local(data: DataDirectory) -> list[RunRow]:
    from toka.cli._lock import holder_of  # noqa: PLC0415 - not for --help

    written = holder_of(data.log) is not None
    async with folded(data) as runs:
        return [RunRow.of(view, written=written) for view in runs.by_id.values()]


async def _remote(url: str, token: str | None) -> list[RunRow]:
    from toka.cli._client import Client  # noqa: PLC0415 - aiohttp

    rows: list[RunRow] = []
    after: str | None = ""
    async with Client(url, token) as client:
        while after is not None:
            page = await client.get("/v1/runs", RunPage, after=after, limit="500", order="oldest")
            rows += page.runs
            after = page.next
    return rows


def _print(row: RunRow) -> None:
    mark = click.style(f"{MARKS.get(row.state, ' ')} {row.state:<11}", fg=COLOURS.get(row.state))
    facts = [
        f"{row.agents_ended} of {count(row.agents, 'agent')}",
        count(row.steps, "step"),
        cost(row.spent.amounts),
        f"{count(row.approvals, 'question')} to answer" if row.approvals else "",
    ]
    said = ", ".join(fact for fact in facts if fact)
    click.echo(f"{mark} {row.run}  {printable(row.name, 32)}  began {row.began}  {said}")
    if row.reason:
        click.echo(f"    {printable(row.reason)}")
