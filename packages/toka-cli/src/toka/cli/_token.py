"""`toka token`: mint, narrow, look into, explain and take back capability tokens."""

from __future__ import annotations

import json
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import anyio
import click

from toka.cli._data_directory import DataDirectory
from toka.cli._errors import UsageError
from toka.cli._exits import Exit
from toka.cli._options import data_dir_option, json_option
from toka.cli._show import moment, printable
from toka.types import NANOSECONDS, SystemClock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from toka.capability.core import Caveat, Claims
    from toka.capability.delegation import Explanation


@click.group("token")
def command() -> None:
    """Mint, narrow, inspect, explain and revoke capability tokens."""


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
    "api-key",
    epilog="\b\nExample:\n  toka token api-key --subject ci --permission 'run:*:*'"
    " >> .toka/identities.toml",
)
@click.option("--subject", required=True, help="Who the key speaks for.")
@click.option(
    "--permission", "permissions", multiple=True, required=True, help="Repeatable, as for mint."
)
def api_key(*, subject: str, permissions: tuple[str, ...]) -> int:
    """Make an API key that a service exchanges for tokens: what to keep, and the key to give away.

    What identities.toml keeps is printed, and holds no secret; the key is shown once, on the error
    output.
    """
    from toka.auth import new_api_key  # noqa: PLC0415 - not for --help

    key, record = new_api_key(subject, permissions)
    click.echo("[[api_key]]")
    # Of text and lists of text JSON is TOML too, but for the surrogates that it escapes other
    # planes with, and for DEL, which no permission or name holds.
    for name in ("key_id", "digest", "subject", "permissions"):
        click.echo(f"{name} = {json.dumps(getattr(record, name), ensure_ascii=False)}")
    click.echo(f"The key, shown only now: {key}", err=True)
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
    claims = _claims_of(_given(token), DataDirectory(data_dir))
    facts = {
        "subject": claims.subject,
        "vault": claims.vault,
        "token_id": claims.token_id,
        "issued": moment(claims.issued_at * NANOSECONDS),
        "expires": moment(claims.expires_at * NANOSECONDS),
        "permissions": list(claims.permissions),
        "untainted": list(claims.untainted),
        "budget": [f"{resource} {amount}" for resource, amount in claims.budget],
        "handed on": [f"{hop.subject} ({hop.token_id})" for hop in claims.chain],
    }
    if as_json:
        click.echo(json.dumps(facts))
        return Exit.MET
    for name, value in facts.items():
        values = value if isinstance(value, list) else [value]
        for each in values:
            click.echo(f"{name:<12} {each}")
    return Exit.MET


@command.command(
    "narrow",
    epilog="\b\nExamples:\n  toka token narrow \"$T\" --to bob --permission 'fs:read:/a/**'"
    "\n  toka token narrow - --to ci --ttl 10m --budget money=500000 --depth 0 < token.txt",
)
@click.argument("token")
@click.option("--to", "delegatee", required=True, help="Who gets the narrowed token.")
@click.option("--permission", "permissions", multiple=True, help="Keep only this; repeatable.")
@click.option("--ttl", help="End so long from now, if the token does not end before.")
@click.option(
    "--budget",
    "budgets",
    multiple=True,
    help="RESOURCE=AMOUNT: money, tokens or calls; repeatable.",
)
@click.option("--depth", type=click.IntRange(0), help="How often it may be handed on; 0: never.")
def narrow_token(
    *,
    token: str,
    delegatee: str,
    permissions: tuple[str, ...],
    ttl: str | None,
    budgets: tuple[str, ...],
    depth: int | None,
) -> int:
    """Print TOKEN as handed on to somebody, for less. It takes no key and asks nobody."""
    from toka.capability.core import MaxDepth, OnlyPermissions  # noqa: PLC0415 - not for --help
    from toka.capability.delegation import narrow, unsafe_read  # noqa: PLC0415

    token = _given(token)
    caveats: list[Caveat] = [] if depth is None else [MaxDepth(depth)]
    if permissions:
        caveats.append(OnlyPermissions(permissions))
    if ttl is not None:
        caveats.append(_expiry(ttl, unsafe_read(token)))
    if budgets:
        caveats.append(_budget(budgets))
    click.echo(narrow(token, delegatee, caveats))
    return Exit.MET


@command.command(
    "explain",
    epilog='\b\nExamples:\n  toka token explain "$TOKA_TOKEN" fs:read:/data/a'
    "\n  toka token explain - net:get:https://example.org/ --tainted --json < token.txt",
)
@click.argument("token")
@click.argument("request")
@click.option("--tainted", is_flag=True, help="As if something from outside had been read.")
@data_dir_option
@json_option
def explain(*, token: str, request: str, tainted: bool, data_dir: Path, as_json: bool) -> int:
    """Show how TOKEN comes to allow REQUEST, or which hop and caveat are in the way."""
    validator = DataDirectory(data_dir).keys(SystemClock(), create=False).validator
    explanation = validator.explain(_given(token), request, tainted=tainted)
    if as_json:
        click.echo(json.dumps(explanation.as_json()))
    else:
        for line in _lines_of(explanation):
            click.echo(line)
    return Exit.MET if explanation.allowed else Exit.REFUSED


@command.command(
    "revoke",
    epilog='\b\nExamples:\n  toka token revoke "$TOKA_TOKEN"\n  toka token revoke - < token.txt',
)
@click.argument("token")
@data_dir_option
def revoke(*, token: str, data_dir: Path) -> int:
    """Take TOKEN back for ever, with all that was narrowed from it; a service knows in a second."""
    data = DataDirectory(data_dir)
    claims = _claims_of(_given(token), data)
    revision = anyio.run(_revoke, data, claims)
    click.echo(f"Revoked {claims.token_id} of {printable(claims.subject)} (revision {revision}).")
    return Exit.MET


async def _revoke(data: DataDirectory, claims: Claims) -> int:
    from toka.revocation import Revocation, Revocations, SqliteLog  # noqa: PLC0415 - see above

    with closing(SqliteLog(data.revocations)) as log:
        revocations = await Revocations.open(log, SystemClock())
        revocation = Revocation.of_token(claims.token_id, expires_at=claims.expires_at)
        return await revocations.revoke(revocation)


def _given(token: str) -> str:
    return sys.stdin.read().strip() if token == "-" else token  # noqa: S105 - not a password


def _claims_of(token: str, data: DataDirectory) -> Claims:
    from toka.capability.core import TokenRefusedError  # noqa: PLC0415 - not for --help

    try:
        return data.keys(SystemClock(), create=False).validator.validate(token)
    except TokenRefusedError as error:
        raise UsageError(
            "The token is not good: damaged, expired, or signed with another key.",
            hint=f"Was it minted for {data.path}?",
        ) from error


def _expiry(ttl: str, claims: Claims) -> Caveat:
    from toka.agent_runtime import parse_duration  # noqa: PLC0415 - not for --help
    from toka.capability.core import ExpiresAt  # noqa: PLC0415

    end = (SystemClock().now() + parse_duration(ttl)) // NANOSECONDS
    return ExpiresAt(min(end, claims.expires_at))


def _budget(texts: tuple[str, ...]) -> Caveat:
    from toka.capability.core import MaxBudget  # noqa: PLC0415 - not for --help

    amounts: dict[str, int] = {}
    for text in texts:
        resource, _, amount = text.partition("=")
        if not (amount.isascii() and amount.isdecimal()) or resource in amounts:
            raise UsageError(
                f"--budget {text!r} is not RESOURCE=AMOUNT, once for each resource.",
                hint="As in --budget money=500000 (millionths of a US dollar).",
            )
        amounts[resource] = int(amount)
    return MaxBudget(tuple(sorted(amounts.items())))


def _lines_of(explanation: Explanation) -> Iterator[str]:
    from toka.capability.core import encode_caveats  # noqa: PLC0415 - not for --help

    for step in explanation.steps:
        origin = "issued to" if step.delegator is None else f"{printable(step.delegator)} to"
        yield f"hop {step.number}  {origin} {printable(step.subject)}  ({step.token_id})"
        for name, value in encode_caveats(step.caveats).items():
            yield f"       only {name}: {json.dumps(value)}"
        if step.permission is not None:
            yield f"       granted by {step.permission}"
        if step.denial is not None:
            yield f"       not granted: {step.denial.rule}"
    if explanation.denial is None:
        yield f"{explanation.request} is allowed."
    else:
        hop = "" if explanation.denial.hop is None else f" at hop {explanation.denial.hop}"
        yield f"{explanation.request} is refused{hop}: {explanation.denial.rule}."
