"""`toka serve`: the HTTP face of a data directory, until it is told to stop."""

from __future__ import annotations

import logging
import shlex
import sys
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio
import attrs
import click

from toka.cli._data_directory import DataDirectory
from toka.cli._exits import Exit
from toka.cli._options import data_dir_option

if TYPE_CHECKING:
    from toka.cli._host import Host

OPERATOR: Final = (
    "run:*:*",
    "agent:*:**",
    "event:read:**",
    "approval:resolve:**",
    "metrics:read:*",
)
"""What whoever runs a service usually wants to do with it."""


@click.command(
    "serve",
    epilog="""\b
Examples:
  toka serve
  toka serve --port 0 --print-token
  toka serve --host 0.0.0.0        behind a proxy with TLS

Runs that were interrupted go on by themselves. SIGTERM or Ctrl-C stops in an orderly way: what runs
can be gone on with.""",
)
@data_dir_option
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=8080,
    show_default=True,
    help="The port to listen on; 0 for any that is free.",
)
@click.option(
    "--workspace",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=Path(),
    help="Specifications named in requests are inside it. The current directory by default.",
)
@click.option(
    "--print-token",
    is_flag=True,
    help="Print an operator's token, good for an hour; whoever sees it can use it.",
)
def command(*, data_dir: Path, host: str, port: int, workspace: Path, print_token: bool) -> int:
    """Serve runs over HTTP, and go on with those that were interrupted."""
    from toka.cli._signals import until_stopped  # noqa: PLC0415 - not for --help

    wanted = _Wanted(DataDirectory(data_dir.absolute()), host, port, workspace.resolve())
    if not logging.getLogger().hasHandlers():
        logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(message)s")
    anyio.run(until_stopped, lambda: _serve(wanted, print_token=print_token))
    click.echo("Stopped. Runs that have not ended go on at the next start.", err=True)
    return Exit.MET


@attrs.frozen
class _Wanted:
    data: DataDirectory
    host: str
    port: int
    workspace: Path


async def _serve(wanted: _Wanted, *, print_token: bool) -> None:
    from toka.cli._host import open_host  # noqa: PLC0415 - not for --help
    from toka.cli._service_file import announced  # noqa: PLC0415
    from toka.orchestration_service import Settings, serve  # noqa: PLC0415 - aiohttp

    data = wanted.data
    settings = Settings(data.path, wanted.workspace)
    async with (
        open_host(data) as host,
        serve(
            host.orchestrator,
            host.authenticator,
            settings,
            host=wanted.host,
            port=wanted.port,
        ) as url,
    ):
        with announced(data.service, url):
            _greet(wanted, host, url)
            if print_token:
                click.echo(host.desk.mint("operator", OPERATOR))
            await anyio.sleep_forever()


def _greet(wanted: _Wanted, host: Host, url: str) -> None:
    click.echo(f"Serving {wanted.data.path} on {url}")
    if host.keys.made:
        click.echo(f"Made a signing key: {host.keys.path} (mode 0600).", err=True)
    count = len(host.orchestrator.unfinished())
    if count:
        click.echo(f"Going on with {count} unfinished run{'s' if count > 1 else ''}.", err=True)
    if not _is_loopback(wanted.host):
        click.echo(
            "warning: others can reach this address, and nothing on it is encrypted;"
            " put a proxy with TLS in front.",
            err=True,
        )
    permissions = " ".join(f"--permission '{permission}'" for permission in OPERATOR)
    directory = shlex.quote(str(wanted.data.path))
    click.echo("A token for it, with the permissions of the agents to be started added:", err=True)
    click.echo(f"  toka token mint --subject me --data-dir {directory} {permissions}", err=True)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
