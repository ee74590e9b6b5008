"""The process dies while it indexes: what was done stays, and the rest is done once."""

import json
import logging
import random
import subprocess
import sys
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from toka.store.core import open_store
from toka.store.core.testing import EventSource
from toka.store.semantic import HashingEmbedder, SemanticIndex

pytestmark = pytest.mark.anyio

EVENTS = 1_500
ROUNDS = 3
CHILD = """
import sys
import anyio
import anyio.to_thread
from toka.store.core import open_store
from toka.store.semantic import SemanticIndex

async def main(log, folder):
    async with await open_store(f"sqlite:{log}", read_only=True) as store:
        async with await SemanticIndex.open(store, folder, engine="graph") as index:
            print(index.stats.position, flush=True)
            await index.catch_up(lambda position, end: print(position, flush=True))

anyio.run(main, *sys.argv[1:])
"""


async def write_log(path: Path) -> None:
    source = EventSource()
    async with await open_store(f"sqlite:{path}") as store:
        for begin in range(0, EVENTS, 500):
            numbers = range(begin, begin + 500)
            texts = [json.dumps({"text": f"event {n} of machine {n % 17}"}) for n in numbers]
            await store.append([source.new(payload=text.encode()) for text in texts])


def killed_after(pages: int, log: Path, folder: Path) -> tuple[int, int]:
    """Run the child until it has told a number of pages; return its first and last position."""
    command = [sys.executable, "-c", CHILD, str(log), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:  # noqa: S603
        assert child.stdout is not None
        told = [int(child.stdout.readline()) for _ in range(pages + 1)]
        child.kill()
    return told[0], told[-1]


async def test_a_killed_process_loses_no_finished_page(tmp_path, caplog):
    caplog.set_level(logging.WARNING, "toka.store.semantic")
    log, folder = tmp_path / "log.db", tmp_path / "index"
    await write_log(log)
    reached = 0
    for seed in range(ROUNDS):
        pages = random.Random(seed).randrange(1, 4)  # noqa: S311 - a place to die
        first, last = await anyio.to_thread.run_sync(killed_after, pages, log, folder)
        assert first >= reached, "acknowledged pages are there"
        reached = last
    async with await open_store(f"sqlite:{log}", read_only=True) as store:
        async with await SemanticIndex.open(store, folder, engine="graph") as index:
            before = index.stats
            assert before.position >= reached
            assert await index.catch_up() == EVENTS - before.documents
            assert index.stats.documents == EVENTS
            resumed = await index.search("event 1499 of machine 7", mode="words")
        async with await SemanticIndex.open(store, embedder=HashingEmbedder()) as fresh:
            await fresh.catch_up()
            assert await fresh.search("event 1499 of machine 7", mode="words") == resumed
    assert "discarded" not in caplog.text
