"""What is promised when processes die, disks fill and bytes flip."""

import asyncio
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from toka.store.core import Damaged, Receipt, Snapshot, StoreError, StoreFailed
from toka.store.core.testing import EventSource
from toka.store.sqlite import SqliteStore
from toka.store.sqlite._files import Files
from toka.store.sqlite._reader import Reader
from toka.types import EventId

pytestmark = pytest.mark.anyio

APPENDER = """
import asyncio, sys
from toka.store.core.testing import EventSource
from toka.store.sqlite import SqliteStore

async def main(path, seed, tasks):
    source = EventSource(int(seed))
    store = await SqliteStore.open(path)
    async def write():
        while True:
            event = source.new(payload=b"x" * 200)
            receipt = await store.append([event])
            sys.stdout.write(f"{receipt.last} {event.id}\\n")
            sys.stdout.flush()
    await asyncio.gather(*[write() for _ in range(int(tasks))])

asyncio.run(main(*sys.argv[1:]))
"""


def killed_appender(path: Path, seed: int, tasks: int, after: int) -> list[tuple[int, str]]:
    """Let a child append until it has acknowledged some, kill it, and return what it did."""
    child = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-c", APPENDER, str(path), str(seed), str(tasks)],
        stdout=subprocess.PIPE,
        text=True,
    )
    with child:
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(after)]
        child.send_signal(signal.SIGKILL)
        lines += child.stdout.readlines()
    whole = [line.split() for line in lines if line.endswith("\n")]
    return [(int(position), event_id) for position, event_id in whole]


def copy(path: Path, target: Path) -> Path:
    """Copy the files of a store as a power cut would leave them."""
    target.mkdir()
    for each in path.parent.iterdir():
        if each.name.startswith(path.name) and not each.name.endswith("-shm"):
            shutil.copy(each, target / each.name)
    return target / path.name


def chance(seed: int) -> Random:
    """Return a source of numbers that are the same in every run."""
    return Random(seed)  # noqa: S311 - nothing secret


def contents(directory: Path) -> dict[str, bytes]:
    """Return every byte of a store; not the index of the log, which SQLite may rebuild."""
    return {
        each.name: each.read_bytes()
        for each in directory.iterdir()
        if not each.name.endswith(("-shm", ".lock"))
    }


@pytest.mark.parametrize("tasks", [1, 20])
async def test_every_acknowledged_event_survives_a_kill(tmp_path, tasks):
    path, acknowledged, numbers = tmp_path / "run.db", list[tuple[int, str]](), chance(tasks)
    for seed in range(6):
        acknowledged += killed_appender(path, seed, tasks, numbers.randrange(1, 120))
        async with await SqliteStore.open(str(path)) as store:
            report = await store.verify()
            assert report.ok, report.problems
            found = {event.position: event.id async for event in store.read()}
        missing = [each for each in acknowledged if found.get(each[0]) != each[1]]
        assert missing == []
    assert len(acknowledged) > 6


async def filled(path: Path, count: int = 60) -> list[EventId]:
    """Make a store with causes and a snapshot, closed; return the identifiers."""
    source = EventSource()
    async with await SqliteStore.open(str(path)) as store:
        parents = ()
        for index in range(count):
            event = source.new(f"s{index % 5}", payload=b"payload %d" % index, parents=parents)
            await store.append([event])
            parents = (*parents[-1:], event.id)
        await store.save_snapshot(Snapshot("state", count, b"s" * 500, b"digest"))
        return [event.id async for event in store.read()]


async def examine(path: Path, ids: list[EventId]) -> str:
    """Say what opening and verifying a store finds; fail on any wrong answer."""
    try:
        async with await SqliteStore.open(str(path), create=False) as store:
            sound = (await store.verify()).ok
            if not sound:
                return "verify"
            events = [event async for event in store.read()]
            assert [event.id for event in events] == ids
            assert [event.payload for event in events] == [
                b"payload %d" % index for index in range(len(ids))
            ]
            assert [event.id for event in await store.descendants(ids[0])] == ids[1:]
            assert all([await store.get(each) for each in ids[::7]])
            snapshot = await store.load_snapshot("state")
            assert snapshot is None or snapshot.data == b"s" * 500
            return "nothing"
    except StoreError:
        return "open"


@pytest.mark.parametrize("seed", range(4))
async def test_a_flipped_byte_of_the_database_is_found_or_harmless(tmp_path, seed):
    whole = tmp_path / "whole" / "run.db"
    whole.parent.mkdir()
    ids = await filled(whole)
    numbers, size, found = chance(seed), whole.stat().st_size, dict[str, int]()
    offsets = [numbers.randrange(100), *(numbers.randrange(size) for _ in range(24))]
    for number, offset in enumerate(offsets):
        path = copy(whole, tmp_path / str(number))
        data = bytearray(path.read_bytes())
        data[offset] ^= 1 << numbers.randrange(8)
        path.write_bytes(data)
        outcome = await examine(path, ids)
        found[outcome] = found.get(outcome, 0) + 1
    assert sum(found.values()) == len(offsets)
    assert found.get("open", 0) + found.get("verify", 0) > 0


async def test_a_schema_that_is_no_text_is_damage(tmp_path):
    path = tmp_path / "run.db"
    await filled(path, 3)
    path.write_bytes(path.read_bytes().replace(b"CREATE TABLE text", b"CREAT\xc5 TABLE text"))
    for read_only in (False, True):
        with pytest.raises(Damaged):
            await SqliteStore.open(str(path), read_only=read_only)


async def test_every_flipped_byte_of_an_event_is_found(tmp_path):
    whole = tmp_path / "whole" / "run.db"
    whole.parent.mkdir()
    ids = await filled(whole, 6)
    start = whole.read_bytes().index(b"payload 3")
    for number, offset in enumerate(range(start - 32, start + 9, 3)):
        path = copy(whole, tmp_path / str(number))
        data = bytearray(path.read_bytes())
        data[offset] ^= 0x10
        path.write_bytes(data)
        assert await examine(path, ids) == "open"


@pytest.fixture(scope="module")
def unclean(tmp_path_factory) -> tuple[Path, int]:
    """Return a store whose writer was killed, its commits in the write-ahead log only."""
    path = tmp_path_factory.mktemp("unclean") / "run.db"
    acknowledged = killed_appender(path, 1, 1, 40)
    return path, acknowledged[-1][0]


async def test_a_flipped_byte_in_the_middle_of_the_write_ahead_log_is_found(tmp_path, unclean):
    whole, last = unclean
    used = last * 2 * 4_120  # at least two pages a commit
    for number, offset in enumerate(range(5_000, used, used // 12)):
        path = copy(whole, tmp_path / str(number))
        wal = path.with_name("run.db-wal")
        data = bytearray(wal.read_bytes())
        data[offset] ^= 1
        wal.write_bytes(data)
        before = contents(path.parent)
        with pytest.raises(Damaged) as caught:
            await SqliteStore.open(str(path))
        assert f"to {last} are missing" in str(caught.value)
        assert contents(path.parent) == before


@pytest.mark.parametrize("cut", ["removed", "emptied", "halved"])
async def test_a_cut_write_ahead_log_is_found_by_writers_and_readers(tmp_path, unclean, cut):
    whole, last = unclean
    path = copy(whole, tmp_path / "copy")
    wal = path.with_name("run.db-wal")
    if cut == "removed":
        wal.unlink()
    else:
        os.truncate(wal, 0 if cut == "emptied" else last * 4_120)
    before = contents(path.parent)
    for read_only in (False, True):
        with pytest.raises(Damaged) as caught:
            await SqliteStore.open(str(path), read_only=read_only)
        assert caught.value.code == "store.damaged"
    assert contents(path.parent) == before


async def test_a_torn_tail_beyond_the_acknowledged_is_no_damage(tmp_path, unclean):
    whole, last = unclean
    path = copy(whole, tmp_path / "copy")
    wal = path.with_name("run.db-wal")
    data = wal.read_bytes()
    wal.write_bytes(data.rstrip(b"\x00") + chance(1).randbytes(10_000))
    async with await SqliteStore.open(str(path)) as store:
        assert (await store.head()).position >= last
        assert (await store.verify()).ok


async def test_loss_can_be_accepted_and_is_then_the_truth(tmp_path, unclean):
    whole, last = unclean
    path = copy(whole, tmp_path / "copy")
    os.truncate(path.with_name("run.db-wal"), last * 4_120)
    async with await SqliteStore.open(str(path), accept_loss=True) as store:
        position = (await store.head()).position
        assert 0 < position < last
        await store.append([EventSource(9).new()])
    async with await SqliteStore.open(str(path)) as store:
        assert (await store.head()).position == position + 1
        assert (await store.verify()).ok


async def test_a_database_without_its_head_file_is_refused(tmp_path):
    path = tmp_path / "run.db"
    await filled(path, 3)
    for damage in (b"", b"x" * 128):
        Files(path).head.write_bytes(damage)
        with pytest.raises(Damaged, match="head file"):
            await SqliteStore.open(str(path))
    Files(path).head.unlink()
    with pytest.raises(Damaged, match="head file"):
        await SqliteStore.open(str(path), read_only=True)


async def test_a_database_that_was_put_back_to_an_older_copy_is_refused(tmp_path):
    path = tmp_path / "run.db"
    await filled(path, 3)
    old = path.read_bytes()
    async with await SqliteStore.open(str(path)) as store:
        await store.append([EventSource(5).new()])
    path.write_bytes(old)
    with pytest.raises(Damaged, match="4 to 4 are missing"):
        await SqliteStore.open(str(path))


async def test_another_history_of_the_same_length_is_refused(tmp_path):
    first, second = tmp_path / "first.db", tmp_path / "second.db"
    for seed, path in enumerate((first, second)):
        async with await SqliteStore.open(str(path)) as store:
            await store.append(EventSource(seed).several(3))
    first.write_bytes(second.read_bytes())
    with pytest.raises(Damaged) as caught:
        await SqliteStore.open(str(first))
    assert caught.value.position == 3


async def test_reading_a_damaged_event_raises_and_names_it(tmp_path):
    path = tmp_path / "run.db"
    await filled(path, 300)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE event SET payload = X'00' WHERE position = 20")
    connection.close()
    async with await SqliteStore.open(str(path)) as store:
        with pytest.raises(Damaged) as caught:
            await store.read_page(0, 100)
        assert caught.value.position == 20
        assert len(await store.read_page(20, 100)) == 100
        report = await store.verify()
    assert [problem.position for problem in report.problems] == [20]
    with pytest.raises(Damaged, match="position 20"):
        report.raise_if_damaged()


async def test_an_append_that_repeats_a_damaged_event_fails_alone(tmp_path):
    path, source = tmp_path / "run.db", EventSource(1)
    stored = EventSource().several(300)  # opening looks at the last 256
    async with await SqliteStore.open(str(path)) as store:
        await store.append(stored)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE event SET payload = X'00' WHERE position = 2")
    connection.close()
    async with await SqliteStore.open(str(path)) as store:
        appends = [source.several(1), stored, source.several(1)]
        outcomes = await asyncio.gather(*map(store.append, appends), return_exceptions=True)
        assert [type(each) for each in outcomes] == [Receipt, Damaged, Receipt]
        assert (await store.head()).position == 302


# The record alone says more than was done.
COMPACTED_FURTHER = (
    "UPDATE compaction SET position = 9, digest = (SELECT digest FROM event WHERE position = 9)"
)


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("DELETE FROM event WHERE position = 7", 2),
        ("DELETE FROM cause WHERE parent = 5", 2),
        ("INSERT INTO cause VALUES (1, 9)", 1),
        ("UPDATE text SET value = 'other' WHERE value = 's1'", 1),
        ("UPDATE event SET id = zeroblob(16) WHERE position = 7", 1),
        ("UPDATE event SET digest = zeroblob(32) WHERE position = 7", 2),
        ("UPDATE event SET time = time + 1 WHERE position = 7", 1),
        ("UPDATE event SET version = 99 WHERE position = 7", 1),
        ("UPDATE event SET parents = NULL WHERE position = 7", 2),
        ("UPDATE event SET tags = X'c1' WHERE position = 7", 1),
        ("UPDATE snapshot SET data = X'00'", 1),
        ("UPDATE snapshot SET position = 3", 1),
        ("DROP INDEX event_stream", 1),
        ("DELETE FROM tag WHERE position = 42", 2),
        ("INSERT INTO tag VALUES ('tag', 10)", 1),
        ("UPDATE span SET newest = 0 WHERE last = 256", 1),
        ("DELETE FROM span", 1),
        ("UPDATE payload SET data = x'00'", 1),
        ("UPDATE payload SET data = x''", 1),
        ("UPDATE payload SET last = 3", 1),
        ("DELETE FROM payload", 1),
        ("INSERT INTO payload VALUES (zeroblob(32), 3, x'00')", 1),
        ("UPDATE event SET content = zeroblob(32), payload = x'' WHERE position = 20", 1),
        ("UPDATE event SET content = x'00' WHERE position = 5", 1),
        ("UPDATE compaction SET position = 4", 1),
        ("UPDATE compaction SET digest = zeroblob(32)", 1),
        ("DELETE FROM compaction", 1),
        (COMPACTED_FURTHER, 1),
    ],
)
async def test_verify_finds_what_sqlite_would_not(tmp_path, statement, found):
    path = tmp_path / "run.db"
    await filled(path, 40)
    async with await SqliteStore.open(str(path)) as store:
        source = EventSource(1)
        large = [source.new(payload=bytes(5_000), tags=("tag",)) for _ in range(2)]
        await store.append([*large, *source.several(300)])
        await store.save_snapshot(Snapshot("start", 5, b"", b""))
        await store.compact("start")
    async with await SqliteStore.open(str(path), read_only=True) as store:
        assert (await store.verify()).ok
    async with await SqliteStore.open(str(path)) as store:
        with sqlite3.connect(path) as connection:
            connection.execute(statement)
        connection.close()
        report = await store.verify()
    assert not report.ok
    assert report.problem_count >= found


async def test_a_full_disk_fails_the_append_and_all_that_follow(tmp_path):
    path, source = tmp_path / "run.db", EventSource()
    store = await SqliteStore.open(str(path))
    await store.append(source.several(2))
    await store._writable().do(forbid_growth)
    with pytest.raises(StoreFailed) as caught:
        await store.append([source.new(payload=bytes(100_000))])
    assert caught.value.code == "store.failed"
    assert "full" in str(caught.value)
    with pytest.raises(StoreFailed):
        await store.append([source.new()])
    with pytest.raises(StoreFailed):
        await store.save_snapshot(Snapshot("state", 1, b"", b""))
    assert (await store.head()).position == 2
    assert len(await store.read_page(0, 9)) == 2
    await store.aclose()

    async with await SqliteStore.open(str(path)) as store:
        assert (await store.head()).position == 2
        await store.append([source.new(payload=bytes(100_000))])
        assert (await store.verify()).ok


def forbid_growth(reader: Reader) -> None:
    """Let SQLite find the disk full: the error, and the way back, are those of a full disk."""
    (pages,) = reader.connection.execute("PRAGMA page_count").fetchone()
    reader.connection.execute(f"PRAGMA max_page_count = {pages}")
