"""`toka events`: the log, for people and for pipes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import anyio
import attrs
import click

from toka.cli._data_directory import DataDirectory
from toka.cli._exits import Exit
from toka.cli._explain import event_as_json
from toka.cli._options import data_dir_option, json_option, url_options
from toka.cli._show import printable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from toka.store.core import Event, EventStore, Query
    from toka.types import Json, JsonObject

_FIELDS = (
    "position", "id", "kind", "stream", "time", "actor", "token", "intent", "parents", "body",
)  # fmt: skip


@click.command(
    "events",
    epilog="""\b
Examples:
  toka events --kind task. --limit 20
  toka events --follow --json | jq .kind""",
)
@data_dir_option
@url_options
@click.option("--after", type=click.IntRange(min=0), default=0, help="Begin behind this position.")
@click.option(
    "--kind", "kinds", multiple=True, help="Only this kind, or those below it; repeatable."
)
@click.option("--run", default="", help="Only events of this run.")
@click.option("--limit", type=click.IntRange(min=1), help="Stop after so many.")
@click.option("--follow", is_flag=True, help="Go on with what is committed from now on.")
@json_option
def command(
    *,
    data_dir: Path,
    url: str | None,
    token: str | None,
    after: int,
    kinds: tuple[str, ...],
    run: str,
    limit: int | None,
    follow: bool,
    as_json: bool,
) -> int:
    """Print the events of the log, oldest first."""
    chosen = _Choice(after, kinds, run, limit, follow)
    if url:
        return anyio.run(_remote, url, token, chosen, as_json)
    return anyio.run(_local, DataDirectory(data_dir), chosen, as_json)


@attrs.frozen
class _Choice:
    """Which events to print."""

    after: int
    kinds: tuple[str, ...]
    run: str
    limit: int | None
    follow: bool

    def of_store(self, store: EventStore) -> AsyncIterator[Event]:
        if self.follow:
            return store.subscribe(self.after)
        return store.read(self.after, where=self._where(), limit=self.limit)

    def takes(self, event: Event) -> bool:
        return self._where().matches(event)

    def _where(self) -> Query:
        """Return what to read; `step` and `step.` both ask for all kinds of steps."""
        from toka.store.core import Query  # noqa: PLC0415 - not for --help

        below = tuple(kind if kind.endswith(".") else f"{kind}." for kind in self.kinds)
        return Query(kinds=self.kinds + below, intent=self.run)

    def as_query(self) -> dict[str, str | list[str]]:
        query: dict[str, str | list[str]] = {
            "after": str(self.after),
            "kind": list(self.kinds),
            "follow": "true" if self.follow else "false",
            "limit": str(self.limit or 0),
        }
        return query | ({"run": self.run} if self.run else {})


async def _local(data: DataDirectory, chosen: _Choice, as_json: bool) -> int:
    from toka.runtime import from_store  # noqa: PLC0415 - not for --help

    printed = 0
    async with data.open_log(read_only=True) as store:
        async for stored in chosen.of_store(store):
            if chosen.takes(stored):
                _print(event_as_json(from_store(stored)), as_json=as_json)
                printed += 1
            if printed == chosen.limit:
                break
    return Exit.MET


async def _remote(url: str, token: str | None, chosen: _Choice, as_json: bool) -> int:
    from toka.cli._client import Client  # noqa: PLC0415 - aiohttp

    async with Client(url, token) as client:
        async for event in client.events(chosen.as_query()):
            _print(event, as_json=as_json)
    return Exit.MET


def _print(event: JsonObject, *, as_json: bool) -> None:
    """Print one event on one line."""
    if as_json:
        # In one order, wherever the event comes from: what matters to a reader first.
        click.echo(json.dumps({name: event[name] for name in _FIELDS}))
        return
    stream, what = printable(str(event["stream"]), 60), printable(_gist(event["body"]), 80)
    click.echo(
        f"{event['position']:>7}  {event['time']}  {printable(str(event['kind'])):<24}"
        f" {stream}  {what}"
    )


def _gist(body: Json) -> str:
    """Return the one thing about an event that a person looks for."""
    if not isinstance(body, dict):
        return ""
    for name in ("reason", "name", "topic", "question", "holder", "subject"):
        value = body.get(name)
        if isinstance(value, str) and value:
            return value
    for name, part in (("intent", "name"), ("failure", "message"), ("spec", "description")):
        inner = body.get(name)
        if isinstance(inner, dict) and inner.get(part):
            return str(inner[part])
    return ""
