"""`toka explain`: why an event happened, and who allowed it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import anyio
import click

from toka.cli._data_directory import DataDirectory
from toka.cli._errors import UsageError
from toka.cli._exits import Exit
from toka.cli._options import data_dir_option, json_option
from toka.cli._show import moment, printable

if TYPE_CHECKING:
    from pathlib import Path

    from toka.runtime import Explanation, Logged
    from toka.store.core import EventStore
    from toka.types import Json


@click.command(
    "explain",
    epilog="\b\nExamples:\n  toka explain 42\n  toka explain 01JD3X8ZK5Q6T7V8W9XAYBZCDE --json",
)
@click.argument("event")
@data_dir_option
@json_option
def command(*, event: str, data_dir: Path, as_json: bool) -> int:
    """Show the chain of causes and capabilities behind EVENT, a position or an identifier."""
    return anyio.run(_explain, DataDirectory(data_dir), event, as_json)


async def _explain(data: DataDirectory, name: str, as_json: bool) -> int:
    async with data.open_log(read_only=True) as store:
        explanation = await _gather(store, name)
    if as_json:
        click.echo(json.dumps(_as_json(explanation)))
    else:
        _print(explanation)
    return Exit.MET


async def _gather(store: EventStore, name: str) -> Explanation:
    from toka.runtime import explain, find_event  # noqa: PLC0415 - not for --help

    found = await find_event(store, name)
    if found is None:
        raise UsageError(
            f"There is no event {printable(name, 40)!r} in this log.",
            hint="`toka events` prints positions and identifiers.",
        )
    return await explain(store, found)


def _print(explanation: Explanation) -> None:
    _print_event("event", explanation.event, explanation)
    for origin in explanation.copied_from:
        _print_event("copied from", origin, explanation)
    told = {origin.event.id for origin in explanation.copied_from}
    for cause in explanation.causes:
        if cause.event.id not in told:
            _print_event("because of", cause, explanation)
    click.echo("")
    for token, body in explanation.tokens.items():
        click.echo(f"token {token}: {printable(body.subject)}, vault {printable(body.vault)}")
        grant = explanation.grants.get(token)
        if grant is not None:
            click.echo(f"    granted by event {grant.position}, the spawning of {body.subject}")
        else:
            click.echo("    minted by whoever holds the signing key")
        for permission in body.permissions:
            click.echo(f"    {printable(permission)}")


def _print_event(label: str, logged: Logged, explanation: Explanation) -> None:
    event = logged.event
    click.echo(f"{label} {logged.position}  {event.kind}  {moment(event.time)}  {event.id}")
    click.echo(
        f"    in {printable(event.stream)}, by {printable(event.actor)} under token {event.token}"
    )
    for each in explanation.allowed_by(event):
        granting = printable(each.granting) or "approval"
        click.echo(f"    needed {printable(each.needed)}, allowed by {granting}")


def _as_json(explanation: Explanation) -> dict[str, Json]:
    return {
        "event": event_as_json(explanation.event),
        "causes": [event_as_json(cause) for cause in explanation.causes],
        "copied_from": [event_as_json(origin) for origin in explanation.copied_from],
        "tokens": {
            token: {
                "subject": body.subject,
                "vault": body.vault,
                "permissions": list(body.permissions),
                "untainted": list(body.untainted),
                "granted_by": grant.position if (grant := explanation.grants.get(token)) else None,
            }
            for token, body in explanation.tokens.items()
        },
        "allowed_by": {
            each.needed: each.granting for each in explanation.allowed_by(explanation.event.event)
        },
    }


def event_as_json(logged: Logged) -> dict[str, Json]:
    """Return an event with everything that the log has of it."""
    from toka.kernel import encode_body  # noqa: PLC0415

    event = logged.event
    return {
        "position": logged.position,
        "id": event.id,
        "kind": event.kind,
        "stream": event.stream,
        "time": moment(event.time),
        "actor": event.actor,
        "token": event.token,
        "intent": event.intent,
        "parents": list(event.parents),
        "body": json.loads(encode_body(event.body)),
    }
