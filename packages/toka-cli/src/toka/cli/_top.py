"""`toka top`: what a service does, at a glance and live, in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import click

from toka.cli._data_directory import DataDirectory
from toka.cli._errors import UsageError
from toka.cli._exits import Exit
from toka.cli._options import data_dir_option, url_options

if TYPE_CHECKING:
    from pathlib import Path


@click.command(
    "top",
    epilog="""\b
Examples:
  toka top --url http://127.0.0.1:8080 --token "$TOKA_TOKEN"
  toka top --every 0.5           the service that runs on .toka

Keys: arrows choose a run, p pauses it or lets it go on, c cancels it (asked twice), q leaves.
Needs the extra: pip install 'toka-cli[top]'.""",
)
@data_dir_option
@url_options
@click.option(
    "--every",
    type=click.FloatRange(0.1, 60),
    default=1.0,
    show_default=True,
    help="Seconds between looks.",
)
def command(*, data_dir: Path, url: str | None, token: str | None, every: float) -> int:
    """Show what a running service does, live."""
    try:
        from toka.cli._top_app import TopApp  # noqa: PLC0415 - an extra, and 200 ms
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("textual"):
            raise
        raise UsageError(
            "toka top draws with Textual, which is not installed.",
            hint="pip install 'toka-cli[top]'; `toka status` shows the same once.",
        ) from error
    from toka.cli._client import Client  # noqa: PLC0415 - aiohttp

    client = Client(url or _url_of(DataDirectory(data_dir)), token)
    anyio.run(TopApp(client, every).run_async)
    return Exit.MET


def _url_of(data: DataDirectory) -> str:
    from toka.cli._service_file import find_service  # noqa: PLC0415 - not for --help

    found = find_service(data.service)
    if found is None:
        raise UsageError(
            f"No service runs on {data.path}.", hint="Start one with `toka serve`, or give --url."
        )
    return found.url
