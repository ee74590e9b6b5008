"""`toka search`: find events by what they are about."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import anyio
import attrs
import click

from toka.cli._data_directory import DataDirectory
from toka.cli._exits import Exit
from toka.cli._options import data_dir_option, json_option
from toka.cli._show import moment, printable
from toka.types import NANOSECONDS

if TYPE_CHECKING:
    from pathlib import Path

    from toka.store.core import EventStore
    from toka.store.semantic import Embedder, Hit, Mode, SemanticIndex
    from toka.types import Json

_MODES: Final = ("hybrid", "meaning", "words")
_MODELS: Final = ("hashing", "minilm")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@attrs.frozen
class _Question:
    """What to look for, and where."""

    text: str
    limit: int
    kinds: tuple[str, ...]
    run: str
    since: datetime | None
    until: datetime | None
    mode: Mode
    model: str

    async def ask(self, index: SemanticIndex) -> list[Hit]:
        from toka.store.core import Query  # noqa: PLC0415 - not for --help

        where = Query(self.kinds, (), self.run, _nanoseconds(self.since), _nanoseconds(self.until))
        return await index.search(self.text, limit=self.limit, where=where, mode=self.mode)

    def embedder(self) -> Embedder:
        from toka.store.semantic import HashingEmbedder, MiniLmEmbedder  # noqa: PLC0415 - NumPy

        return MiniLmEmbedder.load() if self.model == "minilm" else HashingEmbedder()


@click.command(
    "search",
    epilog="""\b
Examples:
  toka search "the disk is full"
  toka search "what went wrong" --model minilm --kind step. --kind task.
  toka search licences --since 2026-11-01 --limit 3""",
)
@click.argument("text")
@data_dir_option
@click.option("--limit", type=click.IntRange(1, 1000), default=10, show_default=True)
@click.option(
    "--kind", "kinds", multiple=True, help="A kind, or its beginning up to a dot; repeatable."
)
@click.option("--run", default="", help="Only events of this run.")
@click.option("--since", type=click.DateTime(), help="Not before this time, UTC.")
@click.option("--until", type=click.DateTime(), help="Before this time, UTC.")
@click.option("--mode", type=click.Choice(_MODES), default="hybrid", show_default=True)
@click.option(
    "--model",
    type=click.Choice(_MODELS),
    default="hashing",
    show_default=True,
    help="What compares texts; minilm knows words of like meaning and is to be installed.",
)
@json_option
def command(
    *,
    text: str,
    data_dir: Path,
    limit: int,
    kinds: tuple[str, ...],
    run: str,
    since: datetime | None,
    until: datetime | None,
    mode: Mode,
    model: str,
    as_json: bool,
) -> int:
    """Find the events that fit TEXT best, by words and by meaning."""
    question = _Question(text, limit, kinds, run, since, until, mode, model)
    hits = anyio.run(_search, DataDirectory(data_dir), question)
    if as_json:
        click.echo(json.dumps([_as_json(hit) for hit in hits]))
    else:
        _print(hits)
    return Exit.MET if hits else Exit.NOT_MET


async def _search(data: DataDirectory, question: _Question) -> list[Hit]:
    async with data.open_log(read_only=True) as store:
        folder = data.path / "search" / question.model
        async with await _open(store, folder, question.embedder()) as index:
            await index.catch_up()
            return await question.ask(index)


async def _open(store: EventStore, folder: Path, embedder: Embedder) -> SemanticIndex:
    """Open the index that is kept with the log, or else one in memory, which answers the same."""
    from toka.store.semantic import IndexFailed, IndexLocked, SemanticIndex  # noqa: PLC0415 - NumPy

    try:
        return await SemanticIndex.open(store, folder, embedder=embedder)
    except (IndexFailed, IndexLocked) as error:
        click.echo(f"{printable(error.message)} The search goes on without it.", err=True)
        return await SemanticIndex.open(store, embedder=embedder)


def _print(hits: list[Hit]) -> None:
    if not hits:
        click.echo("Nothing in this log fits.", err=True)
        return
    for hit in hits:
        event = hit.document
        where = printable(event.stream, 60)
        click.echo(
            f"{event.position:>7}  {hit.score:.2f}  {moment(event.time)}"
            f"  {printable(event.kind):<24} {where}"
        )
        click.echo(f"         {printable(hit.snippet)}")
    click.echo(f"\ntoka explain {hits[0].document.position}    shows why the first one happened")


def _as_json(hit: Hit) -> dict[str, Json]:
    event = hit.document
    return {
        "position": event.position,
        "id": event.id,
        "kind": event.kind,
        "stream": event.stream,
        "time": moment(event.time),
        "actor": event.actor,
        "intent": event.intent,
        "score": round(hit.score, 4),
        "similarity": None if hit.similarity is None else round(hit.similarity, 4),
        "snippet": hit.snippet,
    }


def _nanoseconds(time: datetime | None) -> int | None:
    if time is None:
        return None
    since_epoch = time.replace(tzinfo=UTC) - _EPOCH
    whole = since_epoch.days * 86_400 + since_epoch.seconds
    return whole * NANOSECONDS + since_epoch.microseconds * 1_000
