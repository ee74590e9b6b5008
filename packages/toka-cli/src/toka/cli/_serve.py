"""`toka serve`: the HTTP face of a data directory, until it is told to stop."""

from __future__ import annotations

import gc
import logging
import shlex
import sys
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio
import attrs
import click

from toka.cli._dashboard_link import OPERATOR, sign_in_link
from toka.cli._data_directory import DataDirectory
from toka.cli._exits import Exit
from toka.cli._options import data_dir_option, sandbox_option
from toka.types import SystemClock

if TYPE_CHECKING:
    from toka.cli._host import Host

_COLLECTED_AT: Final = (20_000, 20, 50)
"""Objects, and collections of the generation before, after which a generation is collected."""


@click.command(
    "serve",
    epilog="""\b
Examples:
  toka serve
  toka serve --port 0 --print-token
  toka serve --host 0.0.0.0        behind a proxy with TLS

Runs that were interrupted go on by themselves. SIGTERM or Ctrl-C stops in an orderly way: what runs
can be gone on with.

\b
Tokens are exchanged, looked into and taken back at /auth/token, /auth/introspect and /auth/revoke
(RFC 8693, 7662, 7009). Who may exchange is for the operator to say in identities.toml:
  [[issuer]]                            of OpenID Connect
  issuer = "https://login.example.com"
  audience = "toka"
  [[issuer.rule]]
  where = { groups = "ops" }
  subject_prefix = "example/"
  permissions = ["run:*:*", "event:read:**"]
and what `toka token api-key` prints.

\b
What may change while it runs is for the operator to say in service.toml; a change is taken when the
file is written or SIGHUP comes, as a whole or not at all, and standard error says what changed:
  log_level = "info"
  agents = "specs"                      in place of --workspace
  [limits]
  runs_at_once = 64
  unfinished_runs = 1000
  [tools]
  allowed = ["read_file", "list_files"]
  manifests = ["tools"]                 directories of tool manifests
  wasm = ["resize.json"]                WebAssembly tools
  mcp = "servers.toml"                  MCP servers, as approved with `toka tools mcp`
  [[model]]                             further ones are asked where the first fails
  provider = "anthropic"
  name = "claude-sonnet-5-5"
  api_key_file = "/etc/toka/llm.key"
  [server]                              from the next start: host, port, public_url""",
)
@data_dir_option
@click.option("--host", help="The address to listen on.  [default: 127.0.0.1]")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    help="The port to listen on; 0 for any that is free.  [default: 8080]",
)
@click.option(
    "--config",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="How to do its work. service.toml of the data directory by default.",
)
@click.option(
    "--workspace",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Specifications named in requests are inside it. The current directory by default.",
)
@click.option(
    "--identities",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Whom to give tokens for credentials from outside. identities.toml of the data directory"
    " by default.",
)
@click.option(
    "--public-url",
    help="Scheme, host and port as clients see them, where a proxy stands in front.",
)
@click.option(
    "--telemetry",
    is_flag=True,
    help="Measure the process too, and tell of it at /metrics; on where OTEL_EXPORTER_OTLP_ENDPOINT"
    " names a collector.",
)
@click.option(
    "--print-link",
    is_flag=True,
    help="Print a link that signs in to the dashboard once, within 10 minutes; in a terminal that"
    " happens by itself.",
)
@click.option(
    "--allow",
    "allowed",
    metavar="PERMISSION",
    multiple=True,
    help="What runs that are begun in the dashboard may do beside reading the workspace and writing"
    " artifacts, as in model:call:**; repeatable.",
)
@sandbox_option
@click.option(
    "--print-token",
    is_flag=True,
    help="Print an operator's token, good for an hour; whoever sees it can use it.",
)
def command(
    *,
    data_dir: Path,
    host: str | None,
    port: int | None,
    config: Path | None,
    workspace: Path | None,
    identities: Path | None,
    public_url: str | None,
    telemetry: bool,
    print_link: bool,
    allowed: tuple[str, ...],
    sandbox: str,
    print_token: bool,
) -> int:
    """Serve runs over HTTP, and go on with those that were interrupted."""
    from toka.cli._signals import until_stopped  # noqa: PLC0415 - not for --help

    data = DataDirectory(data_dir.absolute())
    wanted = _Wanted(
        data,
        host,
        port,
        config or data.service_config,
        workspace,
        identities or data.identities,
        public_url,
        telemetry,
        allowed,
        sandbox,
    )
    if not logging.getLogger().hasHandlers():
        logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(message)s")
    anyio.run(until_stopped, lambda: _serve(wanted, print_link=print_link, print_token=print_token))
    click.echo("Stopped. Runs that have not ended go on at the next start.", err=True)
    return Exit.MET


@attrs.frozen
class _Wanted:
    data: DataDirectory
    host: str | None
    port: int | None
    config: Path
    workspace: Path | None
    identities: Path
    public_url: str | None
    telemetry: bool
    allowed: tuple[str, ...]
    sandbox: str


async def _serve(wanted: _Wanted, *, print_link: bool, print_token: bool) -> None:
    from toka.cli._access_facts import DirectoryFacts  # noqa: PLC0415 - not for --help
    from toka.cli._endpoints import open_endpoints  # noqa: PLC0415
    from toka.cli._host import open_host  # noqa: PLC0415
    from toka.cli._identities import read_identities  # noqa: PLC0415
    from toka.cli._reload import Reloader, held_to  # noqa: PLC0415
    from toka.cli._service_config import read_service_config  # noqa: PLC0415
    from toka.cli._service_file import announced  # noqa: PLC0415
    from toka.cli._telemetry import observed  # noqa: PLC0415
    from toka.orchestration_service import (  # noqa: PLC0415 - aiohttp
        LOOPBACK,
        PORT,
        Live,
        Settings,
        SignInLinks,
        serve,
    )

    data, live, fixed = wanted.data, Live(), wanted.workspace is not None
    # Before anything is opened: what the operator wrote is right or nothing starts.
    identities = read_identities(wanted.identities)
    config = read_service_config(wanted.config)
    address = wanted.host or config.server.host or LOOPBACK
    workspace = (wanted.workspace or Path()).resolve()
    public_url = wanted.public_url or config.server.public_url
    links = SignInLinks(SystemClock())
    port = next((each for each in (wanted.port, config.server.port) if each is not None), PORT)
    async with (
        observed("toka-service", data.path, wanted=wanted.telemetry) as observation,
        open_host(data, observation, sandbox=wanted.sandbox) as host,
        open_endpoints(host, identities) as endpoints,
        held_to(Reloader(wanted.config, config, host, live, fixed, (wanted.identities,))),
        serve(
            host.orchestrator,
            host.access.authenticator,
            Settings(
                data.path,
                workspace,
                live=live,
                public_url=public_url,
                endpoints=endpoints,
                facts=DirectoryFacts(data),
                links=links,
                metrics=observation.metrics,
            ),
            host=address,
            port=port,
        ) as url,
    ):
        with announced(data.service, url):
            _settle_collector()
            _greet(data, host, url, address)
            if print_link or sys.stdout.isatty():
                link = sign_in_link(
                    links,
                    host.keys,
                    public_url or url,
                    workspace=workspace,
                    artifacts=data.path / "runs",
                    allowed=wanted.allowed,
                )
                click.echo(f"Sign in once, within 10 minutes: {link}")
            if print_token:
                click.echo(host.desk.mint("operator", OPERATOR))
            await anyio.sleep_forever()


def _settle_collector() -> None:
    """Let the cyclic collector leave alone what stays, and come more seldom for what goes.

    Hardly anything here is a cycle; with its usual settings a seventh of the processor time of a
    loaded service went into looking for some, a tenth of a second at once.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECTED_AT)


def _greet(data: DataDirectory, host: Host, url: str, address: str) -> None:
    click.echo(f"Serving {data.path} on {url}")
    if host.keys.made:
        click.echo(f"Made a signing key: {host.keys.path} (mode 0600).", err=True)
    count = len(host.orchestrator.unfinished())
    if count:
        click.echo(f"Going on with {count} unfinished run{'s' if count > 1 else ''}.", err=True)
    if not _is_loopback(address):
        click.echo(
            "warning: others can reach this address, and nothing on it is encrypted;"
            " put a proxy with TLS in front.",
            err=True,
        )
    permissions = " ".join(f"--permission '{permission}'" for permission in OPERATOR)
    directory = shlex.quote(str(data.path))
    click.echo("A token for it, with the permissions of the agents to be started added:", err=True)
    click.echo(f"  toka token mint --subject me --data-dir {directory} {permissions}", err=True)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
