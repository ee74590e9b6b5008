"""`toka doctor`: what is wrong with a data directory, and what can be done. Writes nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import anyio
import attrs
import click

from toka.cli._data_directory import DataDirectory
from toka.cli._exits import Exit
from toka.cli._options import data_dir_option, json_option
from toka.cli._show import printable

if TYPE_CHECKING:
    from pathlib import Path

    from toka.cli._checks import Finding

_MARKS = {"ok": ("✓", "green"), "note": ("·", None), "fault": ("✗", "red")}


@click.command(
    "doctor",
    epilog="""\b
Examples:
  toka doctor
  toka doctor --data-dir .toka --json

Exit status 0 if nothing is wrong, 1 if something is.""",
)
@data_dir_option
@json_option
def command(*, data_dir: Path, as_json: bool) -> int:
    """Look for what is wrong with a data directory, and say what to do. Nothing is written."""
    from toka.cli._checks import examine  # noqa: PLC0415 - not for --help

    findings = anyio.run(examine, DataDirectory(data_dir.absolute()))
    if as_json:
        click.echo(json.dumps([attrs.asdict(finding) for finding in findings]))
    else:
        for finding in findings:
            _print(finding)
    return Exit.NOT_MET if any(each.state == "fault" for each in findings) else Exit.MET


def _print(finding: Finding) -> None:
    mark, colour = _MARKS[finding.state]
    click.echo(f"{click.style(mark, fg=colour)} {finding.check}: {printable(finding.text, 1_000)}")
    if finding.remedy:
        click.echo(f"    {printable(finding.remedy, 1_000)}")
