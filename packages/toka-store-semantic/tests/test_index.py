"""An index over a real store: what it finds, and that it follows, resumes and rebuilds."""

import json
from collections.abc import Sequence

import anyio
import anyio.lowlevel
import attrs
import numpy as np
import pytest

from toka.store.core import NewEvent, Query, open_store
from toka.store.core.testing import EventSource
from toka.store.semantic import (
    HashingEmbedder,
    IndexClosed,
    IndexLocked,
    NotIndexed,
    SemanticIndex,
)

pytestmark = pytest.mark.anyio

TEXTS = (
    ("disk.full.v1", "The disk of the database server is full"),
    ("net.down.v1", "The connection to the mail server timed out"),
    ("disk.full.v1", "No space left on the disk of the mail server"),
    ("agent.done.v1", "The agent has written its report"),
    ("net.down.v1", "Name resolution failed for the registry"),
)


def happened(source: EventSource, kind: str, text: str, **more) -> NewEvent:
    return source.new(kind=kind, payload=json.dumps({"message": text}).encode(), **more)


@pytest.fixture
async def store():
    async with await open_store("memory:") as opened:
        source = EventSource()
        for kind, text in TEXTS:
            event = happened(source, kind, text, intent=kind.split(".")[0], tags=(text[:3],))
            await opened.append([event])
        yield opened


@attrs.define
class Counting:
    """Counts what it embeds."""

    inner: HashingEmbedder = attrs.field(factory=HashingEmbedder)
    texts: int = 0
    name: str = "counting"
    dimensions: int = 384
    unrelated: float = 0.15

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        self.texts += len(texts)
        return self.inner.embed(texts)


@pytest.fixture
async def index(store):
    async with await SemanticIndex.open(store) as opened:
        assert await opened.catch_up() == len(TEXTS)
        yield opened


async def positions(index, text, **options):
    return [hit.document.position for hit in await index.search(text, **options)]


@pytest.mark.parametrize("mode", ["hybrid", "meaning", "words"])
async def test_the_fitting_events_come_first(index, mode):
    assert set((await positions(index, "disk of a server", mode=mode))[:2]) == {1, 3}


async def test_a_hit_says_what_it_is(index):
    (hit, *_) = await index.search("report of the agent")
    assert hit.document.kind == "agent.done.v1"
    assert hit.snippet == "message: The agent has written its report"
    assert 0 < hit.score <= 1
    assert 0.15 < hit.similarity <= 1
    assert (await index.documents(4, 999)) == [hit.document]


async def test_words_find_what_vectors_do_not(index):
    (hit,) = await index.search("registry", mode="words")
    assert (hit.document.position, hit.similarity) == (5, None)


@pytest.mark.parametrize("mode", ["hybrid", "meaning", "words"])
async def test_what_has_nothing_to_do_with_it_is_not_found(index, mode):
    assert await index.search("zzyzx quux", mode=mode) == []
    assert await index.search("", mode=mode) == []


@pytest.mark.parametrize("mode", ["hybrid", "meaning", "words"])
@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (Query(kinds=("net.",)), {2}),
        (Query(kinds=("disk.full.v1", "agent.done.v1")), {1, 3}),
        (Query(kinds=("disk.full",)), set()),
        (Query(intent="disk"), {1, 3}),
        (Query(tags=("No ",)), {3}),
        (Query(since=1_795_000_000_002_000_000, until=1_795_000_000_003_000_000), {2}),
    ],
)
async def test_a_query_selects(index, mode, where, expected):
    found = await index.search("mail server disk", where=where, mode=mode)
    assert {hit.document.position for hit in found} <= expected
    assert bool(found) == bool(expected)


@pytest.mark.parametrize("text", ['"', "NEAR(a b)", "disk*", "a AND", "text:disk", "-", "'; DROP"])
async def test_a_search_has_no_operators(index, text):
    await index.search(text)
    await index.search(text, mode="words")


async def test_the_limit_holds(index):
    assert len(await index.search("the server", limit=1)) == 1


async def test_events_like_one(index):
    (hit, *_) = await index.like(1)
    assert hit.document.position == 3
    assert hit.score == pytest.approx(hit.similarity)
    with pytest.raises(NotIndexed, match="position 99"):
        await index.like(99)


async def test_clusters_and_duplicates_of_a_selection(store):
    source = EventSource(1)
    await store.append([happened(source, "poll.v1", f"poll number {n} is well") for n in range(9)])
    async with await SemanticIndex.open(store) as index:
        await index.catch_up()
        groups = await index.near_duplicates(where=Query(kinds=("poll.v1",)), similarity=0.8)
        assert [group.positions for group in groups] == [tuple(range(6, 15))]
        clusters = (await index.clusters(least=4)).clusters
        assert set(range(6, 15)) <= set(clusters[0].positions)


async def test_events_without_text_are_left_out_and_passed(store):
    def text_of(event):
        return "disk" if event.kind.startswith("disk.") else ""

    async with await SemanticIndex.open(store, extractor=text_of) as index:
        assert await index.catch_up() == 2
        assert index.stats.position == 5
        assert index.stats.documents == 2
        assert await index.catch_up() == 0


async def test_an_index_goes_on_where_it_ended(store, tmp_path):
    embedder = Counting()
    async with await SemanticIndex.open(store, tmp_path / "index", embedder=embedder) as index:
        await index.catch_up()
        before = await index.search("mail server disk")
    embedder.texts = 0
    await store.append([happened(EventSource(2), "disk.full.v1", "Another disk is full")])
    async with await SemanticIndex.open(store, tmp_path / "index", embedder=embedder) as index:
        assert await index.search("mail server disk") == before
        assert await index.catch_up() == 1
        assert (await positions(index, "another disk"))[0] == 6
    assert embedder.texts == 3, "two searches and one document"


@pytest.mark.parametrize("engine", ["exact", "graph"])
async def test_both_engines_find_and_come_back(store, tmp_path, engine):
    for _ in range(2):
        async with await SemanticIndex.open(store, tmp_path, engine=engine) as index:
            await index.catch_up()
            assert index.stats.engine == engine
            assert set((await positions(index, "disk of a server"))[:2]) == {1, 3}


async def test_an_index_follows(store):
    async with await SemanticIndex.open(store) as index, anyio.create_task_group() as tasks:
        tasks.start_soon(index.follow)
        await store.append([happened(EventSource(3), "news.v1", "An unheard word: xylophone")])
        with anyio.fail_after(10):
            while not await index.search("xylophone", mode="words"):
                await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()


async def test_two_catching_up_at_once_do_it_once(store):
    embedder = Counting()
    async with await SemanticIndex.open(store, embedder=embedder) as index:
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(index.catch_up)
        assert embedder.texts == index.stats.documents == len(TEXTS)


async def test_progress_is_told(store):
    told: list[tuple[int, int]] = []
    async with await SemanticIndex.open(store) as index:
        await index.catch_up(lambda position, end: told.append((position, end)))
    assert told == [(5, 5)]


@pytest.mark.parametrize(
    "change", [{"embedder": HashingEmbedder(64)}, {"extractor": lambda event: event.kind}]
)
async def test_another_model_discards_the_index(store, tmp_path, change):
    async with await SemanticIndex.open(store, tmp_path) as index:
        await index.catch_up()
    async with await SemanticIndex.open(store, tmp_path, **change) as index:
        assert index.stats.documents == 0
        assert await index.catch_up() == len(TEXTS)


async def test_an_index_of_another_log_is_discarded(store, tmp_path):
    async with await SemanticIndex.open(store, tmp_path) as index:
        await index.catch_up()
    async with await open_store("memory:") as other:
        source = EventSource(9)
        await other.append([happened(source, "other.v1", f"other {n}") for n in range(5)])
        async with await SemanticIndex.open(other, tmp_path) as index:
            assert index.stats.position == 0
            await index.catch_up()
            assert (await positions(index, "other"))[0] == 1


async def test_an_index_ahead_of_its_log_is_discarded(store, tmp_path):
    async with await SemanticIndex.open(store, tmp_path) as index:
        await index.catch_up()
    async with await open_store("memory:") as shorter:
        async for event in store.read(limit=3):
            await shorter.append([event.new()])
        async with await SemanticIndex.open(shorter, tmp_path) as index:
            assert index.stats.position == 0
            assert await index.catch_up() == 3


async def test_a_directory_has_one_user(store, tmp_path):
    async with await SemanticIndex.open(store, tmp_path):
        with pytest.raises(IndexLocked, match="in use"):
            await SemanticIndex.open(store, tmp_path)
    async with await SemanticIndex.open(store, tmp_path):
        pass


async def test_a_closed_index_says_so(store):
    index = await SemanticIndex.open(store)
    await index.aclose()
    await index.aclose()
    for work in (index.search("text"), index.like(1), index.catch_up(), index.clusters()):
        with pytest.raises(IndexClosed):
            await work


async def test_others_cannot_read_the_directory(store, tmp_path):
    async with await SemanticIndex.open(store, tmp_path / "new" / "index"):
        assert (tmp_path / "new" / "index").stat().st_mode & 0o077 == 0
