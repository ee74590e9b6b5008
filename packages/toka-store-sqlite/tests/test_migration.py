"""What becomes of files that an earlier release wrote."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from toka.store.core import (
    ORIGIN,
    Absent,
    ConditionFailed,
    Damaged,
    Head,
    NewerFormat,
    NewEvent,
    OpenRefused,
    Query,
    Snapshot,
    StoreFailed,
    header_digest,
    pack_id,
    payload_digest,
    snapshot_checksum,
)
from toka.store.core.backend import HeadFile
from toka.store.core.testing import EventSource
from toka.store.sqlite import SqliteStore
from toka.store.sqlite._files import Files

pytestmark = pytest.mark.anyio

# ruff: noqa: E501 - as format 1 was made, to the letter
FIRST = (
    "CREATE TABLE text (id INTEGER PRIMARY KEY, value TEXT NOT NULL UNIQUE) STRICT",
    (
        "CREATE TABLE event (position INTEGER PRIMARY KEY, id BLOB NOT NULL, stream INTEGER NOT NULL,"
        " version INTEGER NOT NULL, kind INTEGER NOT NULL, time INTEGER NOT NULL,"
        " intent INTEGER NOT NULL, actor INTEGER NOT NULL, token INTEGER NOT NULL, parents BLOB,"
        " tags BLOB, digest BLOB NOT NULL, payload BLOB NOT NULL) STRICT"
    ),
    "CREATE UNIQUE INDEX event_id ON event (id)",
    "CREATE UNIQUE INDEX event_stream ON event (stream, version)",
    (
        "CREATE TABLE cause (parent INTEGER NOT NULL, child INTEGER NOT NULL,"
        " PRIMARY KEY (parent, child)) STRICT, WITHOUT ROWID"
    ),
    (
        "CREATE TABLE snapshot (name TEXT NOT NULL, position INTEGER NOT NULL, digest BLOB NOT NULL,"
        " checksum BLOB NOT NULL, data BLOB NOT NULL, PRIMARY KEY (name, position)) STRICT"
    ),
)


def first_format(path: Path, count: int = 600) -> list[NewEvent]:
    """Write a store of format 1, as that release did, and return its events."""
    source, numbers, events = EventSource(), {"": 0}, list[NewEvent]()
    head, versions = Head(0, ORIGIN), dict[str, int]()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        for statement in FIRST:
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {0x544F4B41}")
        connection.execute("PRAGMA user_version = 1")
        for index in range(count):
            event = source.new(
                f"s{index % 3}",
                f"kind.v{index % 2}",
                b"%d" % index if index % 100 else bytes([index % 251]) * 6_000,
                (events[-1].id,) if index % 5 == 4 else (),
                "intent" if index % 4 else "",
                ("tag", f"n:{index}") if index % 7 == 0 else (),
            )
            events.append(event)
            for text in (event.stream, event.kind, event.intent, event.actor, event.token):
                if text not in numbers:
                    numbers[text] = len(numbers)
                    connection.execute("INSERT INTO text VALUES (?, ?)", (numbers[text], text))
            version = versions[event.stream] = versions.get(event.stream, 0) + 1
            digest = header_digest(
                event, index + 1, version, head.digest, payload_digest(event.payload)
            )
            connection.execute(
                "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    index + 1,
                    pack_id(event.id),
                    numbers[event.stream],
                    version,
                    numbers[event.kind],
                    event.time,
                    numbers[event.intent],
                    numbers[event.actor],
                    numbers[event.token],
                    b"".join(map(pack_id, event.parents)) or None,
                    msgspec.msgpack.encode(event.tags) if event.tags else None,
                    digest,
                    event.payload,
                ),
            )
            head = Head(index + 1, digest)
        snapshot = Snapshot("state", 500, b"data", b"digest")
        connection.execute(
            "INSERT INTO snapshot VALUES (?, ?, ?, ?, ?)",
            ("state", 500, b"digest", snapshot_checksum(snapshot), b"data"),
        )
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode = WAL")
    record = HeadFile(Files(path).head)
    record.rewrite(head)
    record.close()
    return events


async def test_a_store_of_the_first_format_is_brought_to_this_one(tmp_path):
    path = tmp_path / "run.db"
    events = first_format(path)
    async with await SqliteStore.open(str(path)) as store:
        assert [event.new() async for event in store.read()] == events
        report = await store.verify()
        assert report.ok, report.problems
        for where in (
            Query(tags=("tag",)),
            Query(tags=("n:14",)),
            Query(kinds=("kind.v1",)),
            Query(intent="intent", tags=("tag",)),
            Query(since=events[300].time, until=events[590].time),
        ):
            found = [event.new() async for event in store.read(where=where)]
            assert found == [event for event in events if where.matches(event)]
        with pytest.raises(ConditionFailed):
            await store.append([EventSource(1).new()], absent=[Absent(Query(tags=("n:588",)))])
        assert await store.append(events[:1]) == await store.append(events[:1])
        assert (await store.load_snapshot("state")) is not None
        await store.append(EventSource(1).several(300))
        assert (await store.compact("state")).position == 500
        assert (await store.verify()).ok
    async with await SqliteStore.open(str(path), read_only=True) as store:
        assert (await store.head()).position == 900
        assert (await store.verify()).ok


async def test_a_new_file_and_a_migrated_one_have_the_same_schema(tmp_path):
    schemas = []
    first_format(tmp_path / "old.db", 3)
    for name in ("old.db", "new.db"):
        await (await SqliteStore.open(str(tmp_path / name))).aclose()
        with closing(sqlite3.connect(tmp_path / name)) as connection:
            rows = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master")
            schemas.append((rows.fetchall(), connection.execute("PRAGMA user_version").fetchone()))
    assert schemas[0] == schemas[1]


async def test_an_older_format_is_not_changed_by_a_reader(tmp_path):
    path = tmp_path / "run.db"
    first_format(path, 3)
    before = path.read_bytes()
    with pytest.raises(OpenRefused) as caught:
        await SqliteStore.open(str(path), read_only=True)
    assert caught.value.code == "store.older_format"
    assert caught.value.details["found"] == 1
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE event SET payload = x'00' WHERE position = 590",
        "UPDATE event SET tags = x'ff' WHERE position = 1",
        "DELETE FROM event WHERE position = 600",
        "CREATE TABLE other (x)",
    ],
)
async def test_a_damaged_file_is_not_brought_to_this_format(tmp_path, damage):
    path = tmp_path / "run.db"
    first_format(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(damage)
    before = path.read_bytes()
    with pytest.raises(Damaged):
        await SqliteStore.open(str(path))
    assert path.read_bytes() == before


async def test_a_migration_that_is_cut_short_leaves_the_first_format(tmp_path, monkeypatch):
    path = tmp_path / "run.db"
    events = first_format(path)
    with monkeypatch.context() as patch:
        patch.setattr("toka.store.sqlite._migration.SUM_UP", "INSERT INTO nowhere VALUES (?, ?)")
        with pytest.raises(StoreFailed):
            await SqliteStore.open(str(path))
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    async with await SqliteStore.open(str(path)) as store:
        assert (await store.head()).position == len(events)


async def test_a_newer_format_that_is_only_in_the_write_ahead_log_is_refused(tmp_path):
    path = tmp_path / "run.db"
    await (await SqliteStore.open(str(path))).aclose()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA user_version = 9")
    for name in ("run.db", "run.db-wal"):
        os.link(tmp_path / name, tmp_path / f"kept-{name}")
    for name in ("run.db", "run.db-wal"):
        (tmp_path / f"cut-{name}").write_bytes((tmp_path / f"kept-{name}").read_bytes())
    connection.close()
    (tmp_path / "cut-run.db.head").write_bytes((tmp_path / "run.db.head").read_bytes())
    with pytest.raises(NewerFormat):
        await SqliteStore.open(str(tmp_path / "cut-run.db"))
