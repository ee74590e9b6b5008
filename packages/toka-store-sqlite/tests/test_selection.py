"""How queries are answered: along an index, in order, without a look at the rest of the log."""

import sqlite3

import attrs
import pytest

from toka.store.core import Query
from toka.store.core.testing import EventSource
from toka.store.sqlite import SqliteStore
from toka.store.sqlite._selection import Selection

pytestmark = pytest.mark.anyio

COUNT = 20_000


@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
async def log(tmp_path_factory):
    """Make a log in which one of a thousand events is of some rare kind, intent and tag."""
    path, source = tmp_path_factory.mktemp("log") / "run.db", EventSource()
    async with await SqliteStore.open(str(path)) as store:
        for start in range(0, COUNT, 1_000):
            await store.append(
                [
                    attrs.evolve(
                        source.new(
                            kind="rare.v1" if index % 1_000 == 7 else f"usual.v{index % 3}",
                            intent="rare" if index % 1_000 == 7 else "usual",
                            tags=("rare",) if index % 1_000 == 7 else ("usual",),
                        ),
                        time=index,
                    )
                    for index in range(start, start + 1_000)
                ]
            )
    return path


def steps(path, where: Query, limit: int, after: int = 0, backward: bool = False) -> int:
    """Return how many steps of SQLite's machine a selection takes, in hundreds."""
    connection = sqlite3.connect(path)
    count = 0

    def tick() -> int:
        nonlocal count
        count += 1
        return 0

    connection.set_progress_handler(tick, 100)
    found = Selection(connection, where).positions(after, limit, backward=backward)
    connection.close()
    assert found
    return count


@pytest.mark.parametrize(
    ("where", "limit"),
    [
        (Query(kinds=("rare.v1",)), 1_000),
        (Query(intent="rare"), 1_000),
        (Query(tags=("rare",)), 1_000),
        (Query(tags=("rare", "rare"), intent="rare"), 1_000),
        (Query(tags=("rare",), kinds=("usual.", "rare.")), 1_000),
        (Query(intent="usual"), 10),
        (Query(kinds=("usual.",)), 10),
        (Query(kinds=("usual.v0", "usual.v1", "rare.v1")), 10),
        (Query(tags=("usual",)), 10),
        (Query(since=COUNT - 100), 1_000),
        (Query(since=9_000, until=9_100), 1_000),
        (Query(kinds=("usual.",), since=9_000, until=9_100), 1_000),
    ],
)
@pytest.mark.parametrize("backward", [False, True])
async def test_a_selection_does_not_walk_the_log(log, where, limit, backward):
    assert steps(log, where, limit, backward=backward) < 200  # 20,000 steps for 20,000 rows


async def test_the_end_of_a_long_log_is_found_as_fast_as_its_start(log):
    where = Query(kinds=("usual.",))
    assert steps(log, where, 10, after=COUNT - 500) < 200


async def test_more_kinds_than_are_merged_are_found_too(tmp_path):
    source = EventSource()
    async with await SqliteStore.open(str(tmp_path / "run.db")) as store:
        await store.append([source.new(kind=f"kind.n{index}") for index in range(300)])
        await store.append([source.new(stream=f"kind.of.stream{index}") for index in range(300)])
        found = await store.read_page(0, 999, where=Query(kinds=("kind.",)))
        assert [event.position for event in found] == list(range(1, 301))
        every = Query(kinds=tuple(f"kind.n{index}" for index in range(0, 300, 2)))
        found = await store.read_page(0, 999, where=every, backward=True)
        assert [event.position for event in found] == list(range(299, 0, -2))


async def test_times_at_their_bounds(tmp_path):
    source, last = EventSource(), 2**63 - 1
    times = [0, last, last - 1, 1] * 200
    async with await SqliteStore.open(str(tmp_path / "run.db")) as store:
        await store.append([attrs.evolve(source.new(), time=time) for time in times])
        for where in (
            Query(since=0),
            Query(since=last),
            Query(since=-5),
            Query(until=last),
            Query(until=2**70),
            Query(since=2**70),
            Query(since=-(2**70), until=-1),
            Query(until=1),
            Query(since=1, until=2),
        ):
            expected = [place for place, time in enumerate(times, 1) if fits(where, time)]
            found = await store.read_page(0, 999, where=where)
            assert [event.position for event in found] == expected


def fits(where: Query, time: int) -> bool:
    since = where.since is None or time >= where.since
    return since and (where.until is None or time < where.until)
