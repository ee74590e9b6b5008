"""`toka replay`: the state recomputed from the log, and proof that the log is whole."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import anyio
import click

from toka.cli._counter import event_counter
from toka.cli._data_directory import DataDirectory
from toka.cli._exits import Exit
from toka.cli._options import data_dir_option, json_option
from toka.cli._show import count

if TYPE_CHECKING:
    from pathlib import Path


@click.command(
    "replay", epilog="\b\nExamples:\n  toka replay\n  toka replay --verify --data-dir .toka"
)
@data_dir_option
@click.option(
    "--verify",
    is_flag=True,
    help="Check every digest, every link of the chain, every token and the snapshot.",
)
@json_option
def command(*, data_dir: Path, verify: bool, as_json: bool) -> int:
    """Recompute the state from the first event, as a crash would have it recomputed."""
    return anyio.run(_replay, DataDirectory(data_dir), verify, as_json)


async def _replay(data: DataDirectory, verify: bool, as_json: bool) -> int:
    from toka.kernel import Kernel  # noqa: PLC0415 - not for --help
    from toka.runtime import replay  # noqa: PLC0415

    began = time.monotonic()
    progress = event_counter("replaying", as_json=as_json)
    async with data.open_log(read_only=True) as store:
        report = await replay(Kernel(), store, verify=verify, progress=progress)
    seconds = time.monotonic() - began
    if as_json:
        facts = {
            "events": report.events,
            "digest": report.digest.hex(),
            "verified": verify,
            "snapshot_checked": report.snapshot_checked,
            "unfinished_runs": len(report.state.families),
        }
        click.echo(json.dumps(facts))
        return Exit.MET
    rate = report.events / seconds if seconds else 0
    click.echo(f"{report.events:,} events replayed in {seconds:.1f} s ({rate:,.0f}/s)")
    click.echo(f"state digest {report.digest.hex()}")
    click.echo(count(len(report.state.families), "unfinished run"))
    if verify:
        click.echo("verified: every payload, every link of the chain, and a token for every event")
        if report.snapshot_checked is not None:
            click.echo(f"verified: the snapshot at position {report.snapshot_checked:,}")
    return Exit.MET
