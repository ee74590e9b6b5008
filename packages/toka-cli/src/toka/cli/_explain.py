"""`toka explain`: why an event happened, and who allowed it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import anyio
import attrs
import click

from toka.cli._data_directory import DataDirectory
from toka.cli._errors import UsageError
from toka.cli._exits import Exit
from toka.cli._options import data_dir_option, json_option
from toka.cli._show import moment, printable

if TYPE_CHECKING:
    from pathlib import Path

    from toka.kernel import KernelEvent, TokenAdmitted
    from toka.runtime import Logged
    from toka.store.core import Event, EventStore
    from toka.types import Json

MAX_CAUSES = 100


@attrs.frozen
class Explanation:
    """An event, what caused it, and under which capabilities."""

    event: Logged
    causes: tuple[Logged, ...]
    """Newest first."""
    tokens: dict[str, TokenAdmitted]
    """Every token that the event or a cause names, as it was admitted."""
    grants: dict[str, Logged]
    """By token: the event that gave the token's subject its permissions, where the log has one."""


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
        explanation = await explain(store, name)
    if as_json:
        click.echo(json.dumps(_as_json(explanation)))
    else:
        _print(explanation)
    return Exit.MET


async def explain(store: EventStore, name: str) -> Explanation:
    """Gather what the log says about an event.

    Raises:
        UsageError: There is no such event.
        StoreError: The log cannot be read.
    """
    from toka.runtime import from_store  # noqa: PLC0415 - not for --help

    logged = from_store(await _find(store, name))
    causes = await store.ancestors(logged.event.id, limit=MAX_CAUSES)
    chain = (logged, *(from_store(cause) for cause in causes))
    tokens = await _tokens(store, {each.event.token for each in chain})
    spawned = {
        each.event.stream: each for each in chain if each.event.kind.startswith("agent.spawned")
    }
    grants = {
        token: spawned[body.subject] for token, body in tokens.items() if body.subject in spawned
    }
    return Explanation(logged, chain[1:], tokens, grants)


async def _find(store: EventStore, name: str) -> Event:
    from toka.store.core import StoreError  # noqa: PLC0415
    from toka.types import EventId  # noqa: PLC0415

    if name.isdecimal():
        page = await store.read_page(int(name) - 1, 1) if int(name) else []
        found = page[0] if page else None
    else:
        try:
            found = await store.get(EventId(name.upper()))
        except StoreError as error:
            raise UsageError(f"{printable(name, 40)!r} names no event: {error.message}") from error
    if found is None:
        raise UsageError(
            f"There is no event {printable(name, 40)!r} in this log.",
            hint="`toka events` prints positions and identifiers.",
        )
    return found


async def _tokens(store: EventStore, wanted: set[str]) -> dict[str, TokenAdmitted]:
    from toka.kernel import TOKENS, TokenAdmitted  # noqa: PLC0415
    from toka.runtime import from_store  # noqa: PLC0415

    found: dict[str, TokenAdmitted] = {}
    async for stored in store.read_stream(TOKENS):
        body = from_store(stored).event.body
        if isinstance(body, TokenAdmitted) and body.token in wanted:
            found[body.token] = body
    return found


def _print(explanation: Explanation) -> None:
    _print_event("event", explanation.event, explanation)
    for cause in explanation.causes:
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
    for needed, granting in _granting(event, explanation.tokens):
        click.echo(
            f"    needed {printable(needed)}, allowed by {printable(granting) or 'approval'}"
        )


def _granting(event: KernelEvent, tokens: dict[str, TokenAdmitted]) -> list[tuple[str, str]]:
    """Return each permission that a step required, with the one of its token that covers it."""
    from toka.capability.core import PermissionSet  # noqa: PLC0415

    intent = getattr(event.body, "intent", None)
    terms = getattr(intent, "terms", None)
    admitted = tokens.get(event.token)
    if terms is None or admitted is None:
        return []
    held = PermissionSet.parse((*admitted.permissions, *admitted.untainted))
    pairs = [(needed, held.covers(needed)) for needed in terms.requires]
    return [(needed, str(granting or "")) for needed, granting in pairs]


def _as_json(explanation: Explanation) -> dict[str, Json]:
    return {
        "event": event_as_json(explanation.event),
        "causes": [event_as_json(cause) for cause in explanation.causes],
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
        "allowed_by": dict(_granting(explanation.event.event, explanation.tokens)),
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
