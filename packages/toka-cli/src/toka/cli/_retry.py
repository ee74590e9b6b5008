"""`toka retry`: begin an ended run again, from its beginning or from one of its steps."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import anyio
import attrs
import click

from toka.cli._data_directory import DataDirectory
from toka.cli._errors import UsageError
from toka.cli._exits import Exit
from toka.cli._options import (
    config_option,
    data_dir_option,
    output_option,
    sandbox_option,
    shown_as,
    url_options,
)
from toka.cli._show import printable

if TYPE_CHECKING:
    from pathlib import Path

    from toka.cli._equipment import Equipment
    from toka.cli._host import Host
    from toka.orchestration import RunDefinition
    from toka.store.core import EventStore
    from toka.types import AgentId, EventId


@attrs.frozen
class _Run:
    run: str


@attrs.frozen
class _Started:
    """What a service answers."""

    run: _Run


@click.command(
    "retry",
    epilog="""\b
Examples:
  toka retry 01JD3X8ZK5Q6T7V8W9XAYBZCDE
  toka retry --from 42
  toka retry 01JD3X8ZK5Q6T7V8W9XAYBZCDE --from 42 --url http://127.0.0.1:8080

`toka events --run RUN --kind step.` prints the steps of a run with their positions. A new run
begins: the step and all that follows it are done anew, and so is what failed beside it; every other
outcome is taken over, and nothing of that is done, asked or paid for again.""",
)
@click.argument("run", metavar="[RUN]", required=False, default="")
@click.option(
    "--from",
    "step",
    metavar="STEP",
    default="",
    help="Any event of the first step to be done anew: its position or its identifier.",
)
@data_dir_option
@url_options
@config_option
@output_option
@sandbox_option
def command(
    *,
    run: str,
    step: str,
    data_dir: Path,
    url: str | None,
    token: str | None,
    config: Path | None,
    output: str | None,
    sandbox: str,
) -> int:
    """Begin the ended run RUN again: from its beginning, or with --from from one of its steps.

    RUN may be left out where STEP says which one it is.
    """
    if not run and (not step or url is not None):
        raise UsageError("Which run is to be retried?", hint="`toka status` lists the runs.")
    if url is not None:
        if config is not None:
            raise UsageError("--config and --url do not go together: a service has its own.")
        return anyio.run(_ask_service, url, token, run, step)
    from toka.cli._equipment import read_equipment  # noqa: PLC0415 - not for --help

    data = DataDirectory(data_dir.absolute())
    equipment = read_equipment(data, config)
    return anyio.run(_retry, data, equipment, run, step, shown_as(output), sandbox)


async def _ask_service(url: str, token: str | None, run: str, step: str) -> int:
    from toka.cli._client import Client  # noqa: PLC0415 - aiohttp

    if step.isdecimal():
        raise UsageError(
            "A service wants the identifier of an event, not its position.",
            hint="`toka events` prints both.",
        )
    async with Client(url, token) as client:
        started = await client.post(f"/v1/runs/{run}/retry", _Started, {"step": step})
    click.echo(f"Run {printable(started.run.run)} has begun.")
    return Exit.MET


async def _retry(
    data: DataDirectory, equipment: Equipment, run: str, step: str, output: str, sandbox: str
) -> int:
    from toka.cli._host import open_host  # noqa: PLC0415 - not for --help
    from toka.cli._run import begin_run, watch_run  # noqa: PLC0415
    from toka.cli._signals import until_stopped  # noqa: PLC0415
    from toka.cli._telemetry import observed  # noqa: PLC0415

    # Where nothing was ever run there is nothing to retry, and nothing is made.
    async with data.open_log(read_only=True) as store:
        earlier, event = await _named(store, run, step)
        definition = await _define(data, store, earlier, event)

    async def work(host: Host) -> int:
        view = await begin_run(host, definition)
        if output != "json":
            click.echo(f"Run {view.run} retries {earlier}.", err=True)
        return await watch_run(host, view, output)

    async def begin() -> int:
        async with (
            observed("toka", data.path) as observation,
            open_host(data, observation, sandbox=sandbox) as host,
        ):
            await equipment.give(host)
            with observation.command("toka retry"):
                return await work(host)

    status = await until_stopped(begin)
    if status is None:
        click.echo("Stopped. `toka run`, as it was run first, goes on with it.", err=True)
        return Exit.INTERRUPTED
    return status


async def _named(store: EventStore, run: str, step: str) -> tuple[AgentId, EventId | None]:
    """Return the run and the event that a command line names."""
    from toka.orchestration import check_run_id  # noqa: PLC0415 - not for --help
    from toka.runtime import find_event  # noqa: PLC0415
    from toka.types import AgentId, EventId, root_of  # noqa: PLC0415

    if not step:
        return check_run_id(run), None
    found = await find_event(store, step)
    if found is None and not run:
        raise UsageError(
            f"There is no event {printable(step, 40)!r} in this log.",
            hint="`toka events --kind step.` prints positions and identifiers.",
        )
    own = run or (root_of(AgentId(found.stream)) if found else "")
    return check_run_id(own), EventId(step) if found is None else found.id


async def _define(
    data: DataDirectory, store: EventStore, run: AgentId, step: EventId | None
) -> RunDefinition:
    from toka.orchestration import (  # noqa: PLC0415 - not for --help
        RunActive,
        RunDefinition,
        define_retry,
        load_run,
        require_source_unchanged,
    )
    from toka.types import ulid  # noqa: PLC0415

    if step is not None:
        definition = await define_retry(store, run, step)
        require_source_unchanged(definition)
        return definition
    view = await load_run(store, run)
    if not view.ended:
        raise RunActive(
            f"Run {run} has not ended, so it cannot be retried.",
            hint="`toka run` goes on with it.",
        )
    # Its place follows from a fresh identifier, as that of every run.
    name = ulid(time.time_ns() // 1_000_000, os.urandom(10))
    artifacts = data.path / "runs" / name / "artifacts"
    return attrs.evolve(
        RunDefinition.decode(view.spec), retries=None, artifacts=str(artifacts.resolve())
    )
