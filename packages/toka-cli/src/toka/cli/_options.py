"""Options that several commands share, so that they read and mean the same everywhere."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from toka.cli._data_directory import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., object]")


def data_dir_option(function: F) -> F:
    """Add `--data-dir`."""
    return click.option(
        "--data-dir",
        type=click.Path(path_type=Path),
        default=DEFAULT,
        show_default=True,
        help="Where the log is kept.",
    )(function)


def url_options(function: F) -> F:
    """Add `--url` and `--token`: ask a running service instead of the data directory."""
    function = click.option(
        "--token",
        envvar="TOKA_TOKEN",
        help="Capability token for --url; TOKA_TOKEN by default.",
    )(function)
    return click.option("--url", envvar="TOKA_URL", help="Ask the service at this address.")(
        function
    )


def json_option(function: F) -> F:
    """Add `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(function)


def output_option(function: F) -> F:
    """Add `--output`, how a run is shown while it goes on; `shown_as` settles what is left out."""
    return click.option(
        "--output",
        type=click.Choice(["tree", "plain", "json"]),
        help="A live tree, lines, or JSON lines. A tree in a terminal, else lines.",
    )(function)


def shown_as(output: str | None) -> str:
    """Return how a run is shown: as asked for, or as fits where it is shown."""
    return output or ("tree" if sys.stdout.isatty() else "plain")


def sandbox_option(function: F) -> F:
    """Add `--sandbox`."""
    return click.option(
        "--sandbox",
        # The names of SandboxLevel; that class is not loaded for --help.
        type=click.Choice(["none", "limits", "landlock", "namespaces"]),
        default="limits",
        show_default=True,
        help="What commands are kept in; `toka tools sandbox` says which levels hold here.",
    )(function)


def config_option(function: F) -> F:
    """Add `--config`."""
    return click.option(
        "--config",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        help="Whose [tools] and [[model]] hold; all else in it is for `toka serve`."
        " service.toml of the data directory by default.",
    )(function)
