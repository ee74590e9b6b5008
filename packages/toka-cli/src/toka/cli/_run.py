"""`toka run`: begin a run, or go on with it, and watch it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import click

from toka.cli._data_directory import DEFAULT, DataDirectory
from toka.cli._errors import UsageError
from toka.cli._exits import Exit
from toka.cli._options import config_option, output_option, sandbox_option, shown_as
from toka.cli._show import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toka.cli._equipment import Equipment
    from toka.cli._host import Host
    from toka.cli._progress import Progress
    from toka.orchestration import RunDefinition, RunResult, RunView
    from toka.types import AgentId


@click.command(
    "run",
    epilog="""\b
Examples:
  toka run examples/repo-audit
  toka run examples/repo-audit --input target=../other --output json
  toka run my-agent.yaml --fresh
  toka run my-agent.yaml --config service.toml

The same command goes on with a run that was interrupted, and says so of one that is finished.""",
)
@click.argument("path", metavar="PATH...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    default=DEFAULT,
    show_default=True,
    help="Where the log and what runs make are kept.",
)
@click.option(
    "--input",
    "inputs",
    metavar="NAME=VALUE",
    multiple=True,
    help="A value for an input that the specifications declare; repeatable.",
)
@click.option("--fresh", is_flag=True, help="Begin anew, and end an unfinished run of the same.")
@config_option
@output_option
@sandbox_option
def command(
    *,
    path: tuple[Path, ...],
    data_dir: Path,
    inputs: tuple[str, ...],
    fresh: bool,
    config: Path | None,
    output: str | None,
    sandbox: str,
) -> int:
    """Run agents from specification files or folders of them, or go on with a run."""
    from toka.cli._equipment import read_equipment  # noqa: PLC0415 - not for --help
    from toka.orchestration import define_run  # noqa: PLC0415

    data = DataDirectory(data_dir.absolute())
    equipment = read_equipment(data, config)
    definition, warnings = define_run(
        path,
        _given(inputs),
        data_dir=data.path,
        workspace=Path.cwd(),
        tools=equipment.toolbox.registry.names(),
    )
    shown = shown_as(output)
    for warning in warnings if shown != "json" else ():
        click.secho(f"warning: {warning}", fg="yellow", err=True)
    return anyio.run(_run, data, equipment, definition, fresh, shown, sandbox)


def _given(pairs: tuple[str, ...]) -> Mapping[str, str]:
    given: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise UsageError(f"--input {pair!r} is not NAME=VALUE.", hint="As in --input target=.")
        given[name] = value
    return given


async def _run(
    data: DataDirectory,
    equipment: Equipment,
    definition: RunDefinition,
    fresh: bool,
    output: str,
    sandbox: str,
) -> int:
    from toka.cli._host import open_host  # noqa: PLC0415 - not for --help
    from toka.cli._signals import until_stopped  # noqa: PLC0415
    from toka.cli._telemetry import observed  # noqa: PLC0415

    async def work() -> int:
        async with (
            observed("toka", data.path) as observation,
            open_host(data, observation, sandbox=sandbox) as host,
        ):
            await equipment.give(host)
            with observation.command("toka run"):
                return await _run_on(host, definition, fresh, output)

    status = await until_stopped(work)
    if status is None:
        click.echo("Stopped. The same command goes on with it.", err=True)
        return Exit.INTERRUPTED
    return status


async def _run_on(host: Host, definition: RunDefinition, fresh: bool, output: str) -> int:
    from toka.orchestration import RunDefinition, require_unchanged, result_of  # noqa: PLC0415

    known = await host.orchestrator.find(definition.key)
    if known is not None and known.ended and not fresh:
        if output != "json":
            click.echo(f"Run {known.run} is finished already. --fresh begins a new one.", err=True)
        return _conclude(result_of(known), output)
    if known is not None and not known.ended:
        if fresh:
            await _end(host, known.run)
        else:
            require_unchanged(RunDefinition.decode(known.spec), definition)
            if output != "json":
                click.echo(f"Going on with run {known.run}.", err=True)
            return await watch_run(host, known, output)
    return await watch_run(host, await begin_run(host, definition), output)


async def begin_run(host: Host, definition: RunDefinition) -> RunView:
    """Begin a run as the operator, who may let it do what it asks for."""
    from toka.orchestration import load_run, permissions_of  # noqa: PLC0415

    token = host.desk.mint("operator", permissions_of(definition))
    run = await host.orchestrator.begin(definition, token)
    return await load_run(host.runtime.store, run)


async def _end(host: Host, run: AgentId) -> None:
    token = host.desk.mint("operator", (f"agent:control:{run}",))
    await host.orchestrator.cancel(run, "A fresh run was asked for.", token)


async def watch_run(host: Host, view: RunView, output: str) -> int:
    """Go on with a run and show it, until its end or until only a person can help."""
    from toka.cli._follower import Follower  # noqa: PLC0415

    results: list[RunResult] = []
    with _progress(output) as progress:
        follower = Follower(host.runtime, view, progress)
        async with anyio.create_task_group() as group:
            group.start_soon(follower.follow)
            group.start_soon(follower.stop_when_waiting, group.cancel_scope)
            results.append(await host.orchestrator.execute(view.run))
            await follower.reach(host.runtime.position)
            group.cancel_scope.cancel()
    if not results:
        return _say_what_waits(view, output)
    return _conclude(results[0], output)


def _say_what_waits(view: RunView, output: str) -> int:
    from toka.types import NULL  # noqa: PLC0415 - not for --help

    if output != "json":
        for asked in view.approvals.values():
            click.echo(f"{printable(asked.question, 400)}", err=True)
            how = "[--deny]" if asked.form == NULL else "--answer ... | --deny"
            click.echo(f"    toka approve {asked.approval} {how}", err=True)
        click.echo("The run waits for an answer; then the same command goes on with it.", err=True)
    return Exit.WAITING


def _progress(output: str) -> Progress:
    from toka.cli._progress import JsonProgress, PlainProgress  # noqa: PLC0415

    if output == "json":
        return JsonProgress()
    if output == "plain":
        return PlainProgress()
    from toka.cli._tree import TreeProgress  # noqa: PLC0415 - rich is 100 ms

    return TreeProgress()


def _conclude(result: RunResult, output: str) -> int:
    from toka.cli._progress import print_result  # noqa: PLC0415

    folder = Path(result.artifacts)
    files = sorted(str(file) for file in folder.rglob("*") if file.is_file())
    print_result(result, files, as_json=output == "json")
    return Exit.MET if result.met else Exit.NOT_MET
