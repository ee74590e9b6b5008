import asyncio
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

import anyio
import pytest

from toka.store.core import (
    Damaged,
    ForeignFile,
    NewerFormat,
    NewEvent,
    OpenRefused,
    StoreBusy,
    StoreFailed,
    StoreLocked,
    StoreMissing,
    open_store,
)
from toka.store.core.backend import _pending
from toka.store.core.testing import EventSource
from toka.store.sqlite import SqliteStore
from toka.store.sqlite._files import Files, connect
from toka.store.sqlite._schema import FORMAT, create_schema

pytestmark = pytest.mark.anyio


async def test_a_second_writer_is_refused_with_the_first_ones_process(tmp_path):
    path = str(tmp_path / "run.db")
    async with await SqliteStore.open(path) as store:
        with pytest.raises(StoreLocked) as caught:
            await SqliteStore.open(path)
        assert caught.value.pid == os.getpid()
        assert caught.value.since is not None
        assert f"process {os.getpid()} since 20" in str(caught.value)
        await store.append([EventSource().new()])
    async with await SqliteStore.open(path) as store:
        assert (await store.head()).position == 1


async def test_a_writer_in_another_process_is_refused(tmp_path):
    path = str(tmp_path / "run.db")
    program = (
        "import asyncio, sys\n"
        "from toka.store.core import StoreLocked\n"
        "from toka.store.sqlite import SqliteStore\n"
        "try:\n"
        "    asyncio.run(SqliteStore.open(sys.argv[1]))\n"
        "except StoreLocked as error:\n"
        "    print(error.pid)\n"
    )
    async with await SqliteStore.open(path):
        output = await asyncio.to_thread(
            subprocess.check_output, [sys.executable, "-c", program, path], text=True
        )
    assert int(output) == os.getpid()


async def test_the_lock_survives_a_copy_of_the_directory(tmp_path):
    path = tmp_path / "live" / "run.db"
    path.parent.mkdir()
    async with await SqliteStore.open(str(path)):
        shutil.copytree(path.parent, tmp_path / "copy")
        with pytest.raises(StoreLocked):
            await SqliteStore.open(str(path))


async def test_a_lock_file_of_a_dead_process_does_not_matter(tmp_path):
    path = tmp_path / "run.db"
    Files(path).lock.write_text(json.dumps({"pid": 1, "since": 1}))
    async with await SqliteStore.open(str(path)) as store:
        await store.append([EventSource().new()])


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
async def test_a_child_process_can_neither_use_the_store_nor_hold_its_lock(tmp_path):
    path = str(tmp_path / "run.db")
    store = await SqliteStore.open(path)
    (hear, tell), (wait, release) = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover - another process
        os.close(release)
        try:
            store._check_open()
        except StoreFailed as error:
            os.write(tell, error.code.encode())
        os.read(wait, 1)  # lives, with all it inherited, until the parent is done
        os._exit(0)
    try:
        assert os.read(hear, 100) == b"store.forked"
        await store.append([EventSource().new()])
        await store.aclose()
        async with await SqliteStore.open(path) as again:
            assert (await again.head()).position == 1
    finally:
        for descriptor in (hear, tell, wait, release):
            os.close(descriptor)
        await asyncio.to_thread(os.waitpid, child, 0)


@pytest.mark.parametrize("content", [b"hello", b"SQLite format 3\x00", b"x" * 5_000])
@pytest.mark.parametrize("read_only", [False, True])
async def test_a_foreign_file_is_refused_and_left_alone(tmp_path, content, read_only):
    path = tmp_path / "run.db"
    path.write_bytes(content)
    with pytest.raises(ForeignFile):
        await SqliteStore.open(str(path), read_only=read_only)
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


async def test_a_database_of_another_program_is_refused(tmp_path):
    path = tmp_path / "run.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t (x)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(ForeignFile, match="signed"):
        await SqliteStore.open(str(path))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


async def test_a_directory_is_refused(tmp_path):
    with pytest.raises(ForeignFile, match="directory"):
        await SqliteStore.open(str(tmp_path))


async def test_a_newer_format_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "run.db"
    await (await SqliteStore.open(str(path))).aclose()
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {FORMAT + 1}")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(NewerFormat) as caught:
        await SqliteStore.open(str(path))
    assert caught.value.details["found"] == FORMAT + 1
    assert path.read_bytes() == before


async def test_an_empty_file_is_made_into_a_store(tmp_path):
    path = tmp_path / "run.db"
    path.touch()
    async with await SqliteStore.open(str(path)) as store:
        await store.append([EventSource().new()])


@pytest.mark.parametrize("options", [{"create": False}, {"read_only": True}])
async def test_a_missing_store_is_reported_and_nothing_is_made(tmp_path, options):
    with pytest.raises(StoreMissing):
        await SqliteStore.open(str(tmp_path / "run.db"), **options)
    assert list(tmp_path.iterdir()) == []


async def test_a_missing_directory_is_reported(tmp_path):
    with pytest.raises(StoreFailed, match="No such file or directory"):
        await SqliteStore.open(str(tmp_path / "nowhere" / "run.db"))


@pytest.mark.parametrize("location", ["", "run.db?synchronous=off", "run.db?mode=fast"])
async def test_an_address_that_makes_no_sense_is_refused(location):
    with pytest.raises(OpenRefused) as caught:
        await SqliteStore.open(location)
    assert caught.value.code == "store.invalid_location"


@pytest.mark.parametrize(("mode", "number"), [("full", 2), ("normal", 1)])
async def test_the_mode_of_durability_is_set_explicitly(tmp_path, mode, number):
    seen: list[int] = []

    def look(reader) -> None:
        seen.append(reader.connection.execute("PRAGMA synchronous").fetchone()[0])

    async with await open_store(f"sqlite:{tmp_path}/run.db?synchronous={mode}") as store:
        assert isinstance(store, SqliteStore)
        await store._writable().do(look)
    assert seen == [number]


async def test_a_path_may_hold_any_character(tmp_path):
    path = tmp_path / "a b%41#c ü.db"
    async with await SqliteStore.open(str(path)) as store:
        await store.append([EventSource().new()])
    async with await SqliteStore.open(str(path), read_only=True) as store:
        assert (await store.head()).position == 1
    assert path.exists()


async def test_reading_changes_no_byte_and_leaves_no_file(tmp_path):
    path = tmp_path / "run.db"
    async with await SqliteStore.open(str(path)) as store:
        await store.append(EventSource().several(3))
    before = {each.name: each.read_bytes() for each in tmp_path.iterdir()}
    async with await SqliteStore.open(str(path), read_only=True) as store:
        assert len([event async for event in store.read()]) == 3
        assert (await store.verify()).ok
        during = {each.name for each in tmp_path.iterdir()}
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == before
    assert during == set(before)


async def test_a_reader_that_came_first_sees_what_a_later_writer_stores(tmp_path):
    path, source = str(tmp_path / "run.db"), EventSource()
    async with await SqliteStore.open(path) as store:
        await store.append(source.several(2))
    async with await SqliteStore.open(path, read_only=True) as reader:
        assert (await reader.head()).position == 2
        async with await SqliteStore.open(path) as writer:
            await writer.append(source.several(3))
            assert (await reader.head()).position == 5
        assert len(await reader.read_page(0, 10)) == 5
        async with await SqliteStore.open(path) as writer:
            await writer.append(source.several(1_000))
            assert len(await reader.read_page(0, 2_000)) == 1_005


async def test_a_closed_store_leaves_no_write_ahead_log(tmp_path):
    path = tmp_path / "run.db"
    async with await SqliteStore.open(str(path)) as store:
        await store.append([EventSource().new()])
        assert Files(path).wal.stat().st_size > 2_000_000
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        "run.db",
        "run.db.head",
        "run.db.lock",
    ]


async def test_concurrent_appends_share_commits(tmp_path):
    source = EventSource()
    async with await SqliteStore.open(str(tmp_path / "run.db")) as store:
        await asyncio.gather(*[store.append([source.new()]) for _ in range(200)])
        stats = await store.stats()
    assert stats.appended == 200
    assert stats.commits < 50


async def test_closing_stores_what_was_enqueued(tmp_path):
    path, source = str(tmp_path / "run.db"), EventSource()
    store = await SqliteStore.open(path)
    appends = [asyncio.ensure_future(store.append([source.new()])) for _ in range(50)]
    await asyncio.sleep(0)
    await store.aclose()
    assert [(await append).first for append in appends] == list(range(1, 51))


async def test_a_cancelled_append_can_be_repeated(tmp_path):
    async with await SqliteStore.open(str(tmp_path / "run.db")) as store:
        events = EventSource().several(2)
        append = asyncio.ensure_future(store.append(events))
        await asyncio.sleep(0)
        append.cancel()
        with pytest.raises(asyncio.CancelledError):
            await append
        receipt = await store.append(events)
        assert (receipt.first, receipt.last) == (1, 2)
        assert (await store.stats()).waiting == 0


async def test_too_much_that_waits_is_refused_and_not_enqueued(tmp_path, monkeypatch):
    monkeypatch.setattr(_pending, "MAX_WAITING", 3)
    monkeypatch.setattr(_pending, "MAX_WAITING_BYTES", 1_000)
    source = EventSource()
    async with await SqliteStore.open(str(tmp_path / "run.db")) as store:
        outcomes = await asyncio.gather(
            *[store.append([source.new()]) for _ in range(5)], return_exceptions=True
        )
        assert [type(each) for each in outcomes[3:]] == [StoreBusy, StoreBusy]
        await store.append([source.new(payload=bytes(5_000))])  # alone it may be large
        outcomes = await asyncio.gather(
            *[store.append([source.new(payload=bytes(600))]) for _ in range(2)],
            return_exceptions=True,
        )
        assert isinstance(outcomes[1], StoreBusy)
        assert (await store.head()).position == 5


async def test_a_backup_taken_while_writing_is_a_whole_store(tmp_path):
    source, target = EventSource(), tmp_path / "copy.db"
    async with await SqliteStore.open(str(tmp_path / "run.db")) as store:
        await store.append(source.several(3_000))
        writing = True

        async def write() -> None:
            while writing:
                await store.append([source.new()])

        task = asyncio.ensure_future(write())
        head = await store.backup(target)
        writing = False
        await task
        assert head.position >= 3_000
        original = await store.read_page(0, head.position)
    async with await SqliteStore.open(str(target)) as restored:
        assert await restored.head() == head
        assert await restored.read_page(0, 10_000) == original
        assert (await restored.verify()).ok
        await restored.append([source.new()])
    assert not list(tmp_path.glob("*.partial*"))


async def test_a_backup_that_fails_leaves_nothing(tmp_path):
    async with await SqliteStore.open(str(tmp_path / "run.db")) as store:
        await store.append([EventSource().new()])
        with pytest.raises(StoreFailed):
            await store.backup(tmp_path / "nowhere" / "copy.db")
        (tmp_path / "taken.db").write_text("mine")
        with pytest.raises(OpenRefused) as caught:
            await store.backup(tmp_path / "taken.db")
        assert caught.value.code == "store.exists"
    assert (tmp_path / "taken.db").read_text() == "mine"
    assert sorted(each.name for each in tmp_path.glob("*copy*")) == []


def test_a_store_that_nobody_closed_does_not_hold_up_its_process(tmp_path):
    program = (
        "import asyncio, sys\n"
        "from toka.store.core.testing import EventSource\n"
        "from toka.store.sqlite import SqliteStore\n"
        "async def main():\n"
        "    store = await SqliteStore.open(sys.argv[1])\n"
        "    await store.append([EventSource().new()])\n"
        "asyncio.run(main())\n"
    )
    path = tmp_path / "run.db"
    command = [sys.executable, "-c", program, str(path)]
    subprocess.run(command, check=True, timeout=20)  # noqa: S603 - our own program

    async def look() -> int:
        async with await SqliteStore.open(str(path)) as store:
            return (await store.head()).position

    assert asyncio.run(look()) == 1


async def test_tables_that_are_not_ours_are_damage(tmp_path):
    path = tmp_path / "run.db"
    await (await SqliteStore.open(str(path))).aclose()
    connection = sqlite3.connect(path)
    connection.execute("DROP TABLE cause")
    connection.close()
    with pytest.raises(Damaged, match="tables"):
        await SqliteStore.open(str(path))


async def test_an_event_takes_less_than_420_bytes_on_disk(tmp_path):
    path, source, count = tmp_path / "run.db", EventSource(), 3_000
    async with await SqliteStore.open(str(path)) as store:
        batch: list[NewEvent] = []
        for index in range(count):
            parents = (batch[-1].id,) if batch else ()
            stream = f"run/agent{index % 4}"
            batch.append(source.new(stream, payload=os.urandom(150), parents=parents))
        for event in batch[:100]:
            await store.append([event])
        await store.append(batch[100:])
    assert path.stat().st_size / count <= 420


def test_trio_is_refused_in_so_many_words(tmp_path):
    with pytest.raises(StoreFailed) as caught:
        anyio.run(SqliteStore.open, str(tmp_path / "run.db"), backend="trio")
    assert caught.value.code == "store.needs_asyncio"
    assert list(tmp_path.iterdir()) == []


async def test_a_head_file_whose_database_is_missing_is_refused_and_nothing_is_made(tmp_path):
    path = tmp_path / "run.db"
    async with await SqliteStore.open(str(path)) as store:
        await store.append([EventSource().new()])
    path.unlink()
    with pytest.raises(Damaged, match="events 1 to 1 were acknowledged"):
        await SqliteStore.open(str(path))
    assert not path.exists()


async def test_a_store_whose_making_was_cut_short_is_made(tmp_path):
    path = tmp_path / "run.db"
    with closing(connect(Files(path).partial)) as connection:
        create_schema(connection)  # and killed before the file had its name
    async with await SqliteStore.open(str(path)) as store:
        await store.append([EventSource().new()])
    async with await SqliteStore.open(str(path)) as store:
        assert (await store.verify()).ok


HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
for statement in sys.argv[2:]:
    connection.execute(statement)
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def held(path, *statements: str) -> Generator[int]:
    """Let another program hold a database, and say which process it is."""
    with subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-c", HOLDER, str(path), *statements],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "held\n"
        yield program.pid
        program.communicate()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lists who holds a lock")
async def test_a_database_held_by_another_program_is_refused_with_its_process(
    tmp_path, monkeypatch
):
    path = tmp_path / "run.db"
    await (await SqliteStore.open(str(path))).aclose()
    monkeypatch.setattr("toka.store.sqlite._files._BUSY_SECONDS", 0.05)
    exclusive = ("PRAGMA locking_mode = EXCLUSIVE", "BEGIN EXCLUSIVE")
    with held(path, *exclusive) as pid, pytest.raises(StoreLocked) as caught:
        await SqliteStore.open(str(path))
    assert caught.value.pid == pid
    assert f"process {pid}" in str(caught.value)
    async with await SqliteStore.open(str(path)) as store:
        await store.append([EventSource().new()])


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lists who holds a lock")
async def test_a_write_lock_of_another_program_fails_the_append_with_its_process(
    tmp_path, monkeypatch
):
    path = tmp_path / "run.db"
    monkeypatch.setattr("toka.store.sqlite._files._BUSY_SECONDS", 0.05)
    async with await SqliteStore.open(str(path)) as store:
        await store.append([EventSource().new()])
        with held(path, "BEGIN IMMEDIATE") as pid, pytest.raises(StoreFailed) as caught:
            await store.append([EventSource(1).new()])
        assert caught.value.details["pid"] == pid
        assert f"Process {pid}" in str(caught.value.hint)
    async with await SqliteStore.open(str(path)) as store:
        assert (await store.head()).position == 1


async def test_a_store_works_where_the_system_has_no_counter(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "eventfd", raising=False)
    source = EventSource()
    async with await SqliteStore.open(str(tmp_path / "run.db")) as store:
        receipts = await asyncio.gather(*[store.append([source.new()]) for _ in range(20)])
    assert [receipt.first for receipt in receipts] == list(range(1, 21))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lists open files so")
async def test_closing_and_failing_to_open_leave_no_file_open(tmp_path):
    def open_files() -> int:
        return sum(1 for _ in Path("/proc/self/fd").iterdir())

    path = str(tmp_path / "run.db")
    async with await SqliteStore.open(path) as store:
        await store.append([EventSource().new()])
    before = open_files()
    for _ in range(3):
        async with await SqliteStore.open(path) as store:
            await store.append([EventSource(1).new()])
            with pytest.raises(StoreLocked):
                await SqliteStore.open(path)
    assert open_files() == before


async def test_a_cancelled_close_loses_no_answer(tmp_path):
    path, source = str(tmp_path / "run.db"), EventSource()
    store = await SqliteStore.open(path)
    appends = [asyncio.ensure_future(store.append([source.new()])) for _ in range(50)]
    await asyncio.sleep(0)
    closing_ = asyncio.ensure_future(store.aclose())
    await asyncio.sleep(0)
    closing_.cancel()
    receipts = await asyncio.gather(*appends)
    assert [receipt.first for receipt in receipts] == list(range(1, 51))
    with pytest.raises(asyncio.CancelledError):
        await closing_
