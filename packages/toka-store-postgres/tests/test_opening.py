"""What may be opened as a store, and what shows of its address."""

from __future__ import annotations

import contextlib

import anyio
import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toka.store.core import (
    Damaged,
    Event,
    ForeignFile,
    NewerFormat,
    OpenRefused,
    Query,
    Snapshot,
    StoreFailed,
    StoreMissing,
    open_store,
)
from toka.store.core.testing import EventSource
from toka.store.postgres import PostgresStore
from toka.store.postgres._address import parse
from toka.store.postgres._schema import escape, unescape

pytestmark = pytest.mark.anyio


async def execute(location, statement):
    place, _, schema = location.partition("?schema=")
    connection = await asyncpg.connect(
        f"postgresql:{place}", server_settings={"search_path": schema}
    )
    await connection.execute(statement)
    await connection.close()


async def test_a_store_is_opened_by_its_url(location):
    async with await open_store(f"postgresql:{location}") as store:
        assert store.location == f"postgresql:{location}"


async def test_a_password_is_never_shown(location):
    secret = location.replace("toka@", "toka:hunter2@") + "&password=hunter3"
    async with await PostgresStore.open(secret) as store:
        assert "hunter" not in store.location
        assert "hunter" not in repr(store)
    with pytest.raises(OpenRefused) as caught:
        await PostgresStore.open("//u:hunter2@h/db?schema=NO&password=hunter3")
    assert "hunter" not in str(caught.value)
    assert "hunter" not in repr(parse(secret))
    with pytest.raises(StoreFailed) as failed:
        await PostgresStore.open(secret.replace("/postgres?", "/nowhere?"))
    assert "hunter" not in str(failed.value)


@pytest.mark.parametrize(
    "location",
    ["", "db", "/db", "//h/db?schema=", "//h/db?schema=a;b", "//h/db?schema=A", "//h/db#x",
     "//h/db?schema=a&schema=b", "//h/db?schema=" + "a" * 60],
)  # fmt: skip
async def test_an_address_that_is_none_is_refused(location):
    with pytest.raises(OpenRefused) as caught:
        await PostgresStore.open(location)
    assert caught.value.code == "store.invalid_location"


async def test_a_missing_store_is_not_made_without_leave(location):
    for options in ({"create": False}, {"read_only": True}):
        with pytest.raises(StoreMissing):
            await PostgresStore.open(location, **options)


async def test_a_schema_with_other_tables_is_left_as_it_is(location):
    schema = location.partition("?schema=")[2]
    await execute(location, f"CREATE SCHEMA {schema}; CREATE TABLE {schema}.event (x integer)")
    with pytest.raises(ForeignFile):
        await PostgresStore.open(location)
    await execute(location, "CREATE TABLE meta (x integer); CREATE TABLE head (x integer)")
    with pytest.raises(ForeignFile):
        await PostgresStore.open(location)


async def test_a_newer_format_is_refused(location):
    async with await PostgresStore.open(location):
        pass
    await execute(location, "UPDATE meta SET format = 99")
    with pytest.raises(NewerFormat) as caught:
        await PostgresStore.open(location)
    assert caught.value.details["found"] == 99


async def test_many_may_make_the_store_at_once(location):
    async with anyio.create_task_group() as tasks:

        async def make():
            async with await PostgresStore.open(location):
                pass

        for _ in range(5):
            tasks.start_soon(make)


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM event WHERE position = 5",
        "UPDATE head SET position = 4",
        "UPDATE head SET digest = decode(repeat('11', 32), 'hex')",
        "DELETE FROM head",
    ],
)
async def test_a_log_that_does_not_end_where_its_head_says_is_not_opened(location, damage):
    async with await PostgresStore.open(location) as store:
        await store.append(EventSource().several(5))
    await execute(location, damage)
    with pytest.raises(Damaged):
        await PostgresStore.open(location)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE event SET payload = 'x' WHERE position = 2",
        "UPDATE event SET stream = 'other' WHERE position = 2",
        "UPDATE event SET time = time + 1 WHERE position = 2",
        "UPDATE event SET tags = 'x' WHERE position = 2",
        "UPDATE event SET parents = 'x' WHERE position = 2",
        "UPDATE event SET actor = 'other' WHERE position = 2",
        "DELETE FROM event WHERE position = 2",
        "UPDATE payload SET data = 'x'",
        "DELETE FROM payload",
        "DELETE FROM tag",
        "DELETE FROM cause",
        "INSERT INTO tag VALUES ('new', 1)",
        "INSERT INTO cause VALUES (1, 5)",
        "UPDATE snapshot SET data = 'x'",
    ],
)
async def test_whatever_was_changed_is_found_by_verify_and_not_returned(location, damage):
    source = EventSource()
    async with await PostgresStore.open(location) as store:
        first = source.new(payload=b"small")
        await store.append([first, *source.several(1)])
        tagged = source.new(payload=bytes(5_000), parents=(first.id,), tags=("tag",))
        await store.append([tagged, *source.several(2)])
        await store.save_snapshot(Snapshot("state", 3, b"data", b"digest"))
        before = [event async for event in store.read()]
        await execute(location, damage)
        report = await store.verify()
        assert not report.ok
        read: list[Event] = []
        with contextlib.suppress(Damaged):
            read.extend([event async for event in store.read(limit=2)])
            read.extend([event async for event in store.read(2)])
        assert read == before[: len(read)]


async def test_a_false_record_of_compaction_is_found_by_verify(location):
    async with await PostgresStore.open(location) as store:
        await store.append(EventSource().several(5))
        await execute(location, "INSERT INTO compaction (position, digest) VALUES (3, '')")
        assert not (await store.verify()).ok


async def test_texts_of_any_kind_and_length_are_kept_and_found(location):
    texts = ["a\0b", "\\", "\\0", "\0\\\0", "é\u20ac" * 500, "\U0001f600" * 1024, "'; DROP", "%"]
    source = EventSource()
    async with await PostgresStore.open(location) as store:
        for text in texts:
            await store.append([source.new(text, text, intent=text, tags=(text,))])
            for query in (Query(kinds=(text,)), Query(intent=text), Query(tags=(text,))):
                [event] = await store.read_page(0, 10, where=query)
                assert (event.stream, event.kind, event.intent) == (text, text, text)
            assert await store.stream_version(text) == 1
        assert (await store.verify()).ok


@given(st.text(alphabet="\\0\0ab", max_size=12), st.text(alphabet="\\0\0ab", max_size=6))
def test_escaping_is_undone_and_keeps_prefixes(text, more):
    assert unescape(escape(text)) == text
    assert "\0" not in escape(text)
    assert escape(text + more) == escape(text) + escape(more)
