"""Search of 100,000 vectors of 384 dimensions, beside bare usearch, and embedding without PyTorch.

The index is built once, through everything a user goes through: a store, a catalogue, a graph. Bare
usearch loads the bytes of the same graph, so both walk the same links, and the ratio is the price
of what is around them. The vectors lie in 1,000 crowds on the unit sphere, as those of texts do.
"""

from __future__ import annotations

import subprocess
import sys
import time
from functools import cache
from typing import TYPE_CHECKING, Final

import anyio
import numpy as np
from usearch.index import Index

from toka.store.core import open_store
from toka.store.core.testing import EventSource
from toka.store.semantic import MiniLmEmbedder, ModelMissing, SemanticIndex, VectorIndex
from toka.store.semantic._graph import BREADTH_ADDING, BREADTH_SEARCHING, LINKS
from toka.store.semantic._sealed import unseal
from workshop.measure import Measure, NotInstalled, at_least, at_most, scratch_for_ever

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from toka.store.core import EventStore

COUNT, DIMENSIONS, CROWDS, QUERIES, NEAREST = 100_000, 384, 1_000, 500, 10
SPREAD: Final = 0.5
_EMBEDDING: Final = """
import sys, time
from pathlib import Path
from toka.store.semantic import MiniLmEmbedder
embedder = MiniLmEmbedder.load()
texts = [
    f"Step {n} read file {7 * n} of the repository and found every function in it documented."
    for n in range(32)
]
embedder.embed(texts)
began = time.perf_counter()
embedder.embed(texts)
speed = len(texts) / (time.perf_counter() - began)
embedder.embed([text * 20 for text in texts[:8]])  # as long as the model reads: a full batch
status = Path("/proc/self/status").read_text()
print(speed, int(status.partition("VmHWM:")[2].split()[0]) / 2**10)
"""


def measures() -> list[Measure]:
    """Return what a reader of a large log waits for."""
    return [
        Measure(
            "10 nearest of 100,000 x 384, one search after the other",
            "searches/s",
            {"ours": our_searches, "usearch": bare_searches},
            [at_least(0.9, times="usearch"), at_least(1_000)],
            runs=21,  # half a second each, and what else runs here shows in so short a time
        ),
        Measure("recall@10 of these searches", "", {"ours": recall}, [at_least(0.95)]),
        Measure(
            "100,000 events restored from disk, verified", "s", {"ours": restoring}, [at_most(2)]
        ),
        Measure(
            "the whole of a search among 100,000 events, with documents and snippets",
            "searches/s",
            {"ours": whole_searches},
        ),
        Measure("MiniLM, batches of 32 sentences", "sentences/s", {"ours": embedding_speed}),
        Measure(
            "the memory of a process that embeds", "MiB", {"ours": embedding_memory}, [at_most(250)]
        ),
    ]


@cache
def vectors() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the vectors of the index, and those of the queries."""
    random = np.random.default_rng(7)
    crowds = random.normal(size=(CROWDS, DIMENSIONS))
    crowds /= np.linalg.norm(crowds, axis=1, keepdims=True)

    def some(count: int) -> NDArray[np.float32]:
        around = random.normal(size=(count, DIMENSIONS)) * SPREAD / DIMENSIONS**0.5
        rows = crowds[random.integers(0, CROWDS, count)] + around
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    return some(COUNT), some(QUERIES)


class Prepared:
    """Embeds `event N` and `query N` as their vectors."""

    name, dimensions, unrelated = "prepared", DIMENSIONS, 0.0

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the rows that the texts name."""
        rows, queries = vectors()
        named = [text.split()[-2:] for text in texts]
        return np.stack([(queries if kind == "query" else rows)[int(at)] for kind, at in named])


async def _log() -> EventStore:
    store, source = await open_store("memory:"), EventSource()
    for begin in range(0, COUNT, 1_000):
        texts = (f"event {number}".encode() for number in range(begin, begin + 1_000))
        await store.append([source.new(payload=text) for text in texts])
    return store


@cache
def folder() -> Path:
    """Build the index once a run: about a minute of computing."""
    path = scratch_for_ever() / "index"

    async def build() -> None:
        async with (
            await _log() as store,
            await SemanticIndex.open(store, path, embedder=Prepared()) as index,
        ):
            await index.catch_up()

    anyio.run(build)
    return path


@cache
def our_index() -> VectorIndex:
    """Return the graph as we load it."""
    index = VectorIndex(DIMENSIONS, path=folder() / "graph")
    index.restore(COUNT, COUNT)
    return index


@cache
def bare_index() -> Index:
    """Return the same graph in usearch alone."""
    sealed = unseal(folder() / "graph")
    if sealed is None:
        raise RuntimeError("the graph was not built")
    index = Index(
        ndim=DIMENSIONS,
        metric="cos",
        dtype="f16",
        connectivity=LINKS,
        expansion_add=BREADTH_ADDING,
        expansion_search=BREADTH_SEARCHING,
    )
    index.load(sealed.data)  # pyright: ignore[reportUnknownMemberType]  # usearch's hints
    return index


def our_searches() -> float:
    """Search through our index."""
    index, (_, queries) = our_index(), vectors()
    began = time.perf_counter()
    for query in queries:
        index.search(query, NEAREST)
    return QUERIES / (time.perf_counter() - began)


def bare_searches() -> float:
    """Search through usearch alone."""
    index, (_, queries) = bare_index(), vectors()
    began = time.perf_counter()
    for query in queries:
        index.search(query, NEAREST, threads=1)
    return QUERIES / (time.perf_counter() - began)


@cache
def truth() -> list[set[int]]:
    """Return the nearest of each query, by comparing with all."""
    rows, queries = vectors()
    nearest = np.argpartition(-(queries @ rows.T), NEAREST, axis=1)[:, :NEAREST]
    return [set((each + 1).tolist()) for each in nearest]


def recall() -> float:
    """Say how many of the nearest are found."""
    index, (_, queries) = our_index(), vectors()
    found = (index.search(query, NEAREST).positions.tolist() for query in queries)
    right = sum(len(set(each) & nearest) for each, nearest in zip(found, truth(), strict=True))
    return right / (NEAREST * QUERIES)


@cache
def log() -> EventStore:
    """Return the store that the index is of."""
    return anyio.run(_log)


def restoring() -> float:
    """Open the index of 100,000 events: catalogue, graph, and the check against the log."""
    path, store = folder(), log()

    async def restore() -> float:
        began = time.perf_counter()
        async with await SemanticIndex.open(store, path, embedder=Prepared()) as index:
            took = time.perf_counter() - began
            if index.stats.documents != COUNT or index.stats.engine != "graph":
                raise RuntimeError("the index was not restored")
        return took

    return anyio.run(restore)


def whole_searches() -> float:
    """Search through the index as a program does: thread, catalogue, documents, snippets."""
    path, store = folder(), log()

    async def search() -> float:
        async with await SemanticIndex.open(store, path, embedder=Prepared()) as index:
            began = time.perf_counter()
            for at in range(QUERIES):
                await index.search(f"query {at}", mode="meaning")
            return QUERIES / (time.perf_counter() - began)

    return anyio.run(search)


def embedding_speed() -> float:
    """Embed sentences in a process of its own."""
    return _embed()[0]


def embedding_memory() -> float:
    """Say how much memory such a process takes at most, interpreter and weights included."""
    return _embed()[1]


def _embed() -> tuple[float, float]:
    try:
        MiniLmEmbedder.load()
    except ModelMissing as missing:
        raise NotInstalled(str(missing)) from missing
    command = [sys.executable, "-c", _EMBEDDING]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    speed, memory = done.stdout.split()
    return float(speed), float(memory)
