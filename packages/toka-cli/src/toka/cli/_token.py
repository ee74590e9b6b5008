"""`toka token`: mint a capability token with the data directory's key, or look into one."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from toka.cli._data_directory import DataDirectory
from toka.cli._errors import UsageError
from toka.cli._exits import Exit
from toka.cli._options import data_dir_option, json_option
from toka.cli._show import moment
from toka.types import NANOSECONDS, SystemClock

if TYPE_CHECKING:
    from pathlib import Path


@click.group("token")
def command() -> None:
    """Mint and inspect capability tokens."""


@command.command(
    "mint",
    epilog="\b\nExamples:\n  toka token mint --subject ops --permission 'agent:*:**'"
    "\n  export TOKA_TOKEN=$(toka token mint --subject me --permission 'run:read:*' --ttl 15m)",
)
@data_dir_option
@click.option("--subject", required=True, help="Who the token speaks for.")
@click.option(
    "--permission",
    "permissions",
    multiple=True,
    required=True,
    help="domain:action:resource-pattern, as in fs:read:/data/**; repeatable.",
)
@click.option("--ttl", default="1h", show_default=True, help="Life of the token, at most 24h.")
def mint(*, data_dir: Path, subject: str, permissions: tuple[str, ...], ttl: str) -> int:
    """Print a token signed with the data directory's key. Whoever has it can use it."""
    from toka.agent_runtime import parse_duration  # noqa: PLC0415 - not for --help
    from toka.orchestration import TokenDesk  # noqa: PLC0415

    data, clock = DataDirectory(data_dir), SystemClock()
    keys = data.keys(clock)
    if keys.made:
        click.echo(f"Made a signing key: {keys.path} (mode 0600).", err=True)
    lifetime = parse_duration(ttl) // NANOSECONDS
    if lifetime < 1:
        raise UsageError(f"--ttl {ttl} is less than a second.", hint="As in --ttl 15m.")
    desk = TokenDesk(keys.issuer, clock, lifetime_seconds=lifetime)
    click.echo(desk.mint(subject, permissions))
    return Exit.MET


@command.command(
    "inspect",
    epilog='\b\nExamples:\n  toka token inspect "$TOKA_TOKEN"\n  toka token inspect - < token.txt',
)
@click.argument("token")
@data_dir_option
@json_option
def inspect(*, token: str, data_dir: Path, as_json: bool) -> int:
    """Check TOKEN with the data directory's key, and show what it allows; - reads it from input."""
    from toka.auth import AuthenticationError  # noqa: PLC0415 - not for --help

    if token == "-":  # noqa: S105 - not a password
        token = sys.stdin.read().strip()
    clock = SystemClock()
    try:
        claims = DataDirectory(data_dir).keys(clock, create=False).authenticator.authenticate(token)
    except AuthenticationError as error:
        raise UsageError(
            "The token is not good: damaged, expired, or signed with another key.",
            hint=f"Was it minted for {data_dir}?",
        ) from error
    facts = {
        "subject": claims.subject,
        "vault": claims.vault,
        "token_id": claims.token_id,
        "issued": moment(claims.issued_at * NANOSECONDS),
        "expires": moment(claims.expires_at * NANOSECONDS),
        "permissions": list(claims.permissions),
        "untainted": list(claims.untainted),
    }
    if as_json:
        click.echo(json.dumps(facts))
        return Exit.MET
    for name, value in facts.items():
        values = value if isinstance(value, list) else [value]
        for each in values:
            click.echo(f"{name:<12} {each}")
    return Exit.MET
