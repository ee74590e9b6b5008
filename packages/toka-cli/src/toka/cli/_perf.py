"""`toka perf`: where a command spends its time, or its memory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from toka.cli._exits import Exit

if TYPE_CHECKING:
    from collections.abc import Callable

_FOLDER = Path("toka-perf")


@click.group(
    "perf",
    epilog="\b\nExamples:\n  toka perf record run examples/repo-audit --fresh\n  toka perf report",
)
def command() -> None:
    """Record where a command spends its time or memory, and show it."""


@command.command(
    "record",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    epilog="""\b
Examples:
  toka perf record run examples/repo-audit --fresh
  toka perf record --memory --folder leak run agent.yaml

Stacks are sampled every millisecond, and files written that a browser shows (cpu.html) and that
speedscope reads (cpu.speedscope.json). The exit status is the command's own.""",
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=_FOLDER,
    show_default=True,
    help="Where the files go.",
)
@click.option(
    "--memory",
    is_flag=True,
    help="What memory is held on to, by lines, instead; that makes the command slow.",
)
@click.argument("arguments", metavar="COMMAND...", nargs=-1, required=True, type=str)
def record_command(*, folder: Path, memory: bool, arguments: tuple[str, ...]) -> int:
    """Run the toka command COMMAND, and write profiles of it."""
    from toka.performance import record  # noqa: PLC0415 - not for --help

    run = _Command(arguments)
    found = record(run, folder, name=" ".join(("toka", *arguments)), memory=memory)
    click.echo(
        f"{found.seconds:.3f} s, {found.cpu_seconds:.3f} s of processor; see {folder},"
        f" or: toka perf report {folder}",
        err=True,
    )
    return run.status


@command.command("report", epilog="\b\nExamples:\n  toka perf report\n  toka perf report leak")
@click.argument("folder", type=click.Path(path_type=Path), default=_FOLDER)
def report(*, folder: Path) -> int:
    """Show what is in FOLDER, where `toka perf record` wrote."""
    from toka.performance import report_recording  # noqa: PLC0415 - not for --help

    click.echo(report_recording(folder), nl=False)
    return Exit.MET


class _Command:
    """A command line to be run in this process."""

    def __init__(self, arguments: tuple[str, ...]) -> None:
        from toka.cli._main import main  # noqa: PLC0415 - it loads this module

        self._arguments = arguments
        self._main: Callable[[tuple[str, ...]], int] = main
        self.status: int = Exit.FAILED

    def __call__(self) -> None:
        self.status = self._main(self._arguments)
