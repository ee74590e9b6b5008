"""SQLite: what a statement may do, and how much of it."""

from __future__ import annotations

import os
import sqlite3
import struct
import sys
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import anyio
import attrs
import pytest

from toka.tools import (
    AccessDeniedError,
    FileAccessError,
    FileMissingError,
    InvalidArgumentsError,
    PathChangedError,
    PathDeniedError,
    QueryError,
    ToolTimeoutError,
    Workspace,
    effect_of,
)
from toka.tools.process._process import Finished
from toka.tools.sandbox import SandboxLevel, prove
from toka.tools.sqlite import _database
from toka.tools.sqlite.worker import _connection, _question, _time, answer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from toka.tools import ToolContext, ToolRegistry
    from toka.types import Json

pytestmark = pytest.mark.anyio


@pytest.fixture
def database(workspace) -> Path:
    path = workspace.root / "a.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("""
            CREATE TABLE people(id INTEGER PRIMARY KEY, name TEXT, photo BLOB);
            INSERT INTO people(name, photo) VALUES ('Ada', x'00ff'), ('Grace', NULL);
            CREATE INDEX by_name ON people(name);
            CREATE VIEW names AS SELECT name FROM people;
        """)
    return path


@pytest.fixture
def query(registry: ToolRegistry, context_for: Callable[..., ToolContext], database):
    async def call(
        sql: str, *permissions: str, context: ToolContext | None = None, **arguments: Json
    ) -> Mapping[str, Json]:
        given = {"path": str(database), "sql": sql, **arguments}
        context = context or context_for(*permissions)
        result = await registry.call("query_sqlite", given, context)
        value = cast("Mapping[str, Json]", result.value)
        assert value["truncated"] == result.truncated
        return value

    return call


@pytest.fixture
def ask(database):
    """Return what asks the worker's own code in this process, which costs no process."""

    def call(sql: str, *, write: bool = False) -> Mapping[str, Json]:
        status = database.stat()
        question = _question.Question(
            str(database),
            (status.st_dev, status.st_ino),
            sql,
            [],
            write,
            False,
            10,
            4 << 20,
            10**10,
        )
        said = answer(question, _time.Deadline(question.timeout_ns))
        if "failure" in said:
            failure = _database._Failure(**cast("dict[str, Any]", said["failure"]))
            asked = _database.Question(
                real=question.path, sql=sql, parameters=(), write=write, max_rows=10, timeout_ns=1
            )
            raise _database._error(failure, asked)
        return cast("Mapping[str, Json]", said)

    return call


async def test_rows_come_back_in_the_order_of_the_columns(query) -> None:
    value = await query("SELECT id, name, photo, 1.5 AS x, name FROM people ORDER BY id")
    assert value["columns"] == ["id", "name", "photo", "x", "name"]
    assert value["rows"] == [
        [1, "Ada", {"base64": "AP8="}, 1.5, "Ada"],
        [2, "Grace", None, 1.5, "Grace"],
    ]


async def test_parameters_are_values_by_place_or_by_name(query) -> None:
    injected = "x' OR '1'='1"
    assert (await query("SELECT ?", parameters=[injected]))["rows"] == [[injected]]
    named = await query("SELECT name FROM people WHERE id = :id", parameters={"id": 2})
    assert named["rows"] == [["Grace"]]


async def test_odd_values_stay_json(query) -> None:
    value = await query("SELECT 9e999, -9e999, CAST(x'ff41' AS TEXT), 9223372036854775807")
    assert value["rows"] == [["inf", "-inf", "\ufffdA", 9223372036854775807]]


async def test_the_schema_can_be_looked_at(query) -> None:
    columns = await query("SELECT name FROM pragma_table_info('people')")
    assert columns["rows"] == [["id"], ["name"], ["photo"]]
    assert (await query("PRAGMA table_info(people)"))["rows"][0][1] == "id"
    assert (await query("SELECT name FROM sqlite_schema WHERE type = 'view'"))["rows"] == [
        ["names"]
    ]
    assert (await query("WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM n LIMIT 3)"
                        " SELECT sum(x) FROM n"))["rows"] == [[6]]  # fmt: skip


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO people(name) VALUES ('Eve')",
        "UPDATE people SET name = 'x'",
        "DELETE FROM people",
        "DROP TABLE people",
        "CREATE TABLE t(x)",
        "CREATE TEMP TABLE t(x)",
        "ALTER TABLE people RENAME TO p",
        "PRAGMA user_version = 7",
        "PRAGMA query_only = OFF",
        "PRAGMA journal_mode = WAL",
        "PRAGMA journal_mode(delete)",
        "PRAGMA writable_schema = ON",
        "PRAGMA temp_store_directory = '/'",
        "BEGIN EXCLUSIVE",
        "SAVEPOINT s",
        "REINDEX",
        "ANALYZE",
    ],
)
def test_nothing_changes_unless_the_call_says_so(ask, database, sql: str) -> None:
    before = database.read_bytes()
    with pytest.raises(QueryError):
        ask(sql)
    assert database.read_bytes() == before
    assert sorted(path.name for path in database.parent.iterdir()) == ["a.db"]


@pytest.mark.parametrize("write", [False, True])
@pytest.mark.parametrize(
    "sql",
    [
        "ATTACH DATABASE '{root}/b.db' AS b",
        "ATTACH DATABASE ':memory:' AS b",
        "VACUUM INTO '{root}/b.db'",
        "VACUUM",
        "SELECT load_extension('/tmp/x.so')",
        "PRAGMA writable_schema = ON",
        "PRAGMA trusted_schema = ON",
        "PRAGMA temp_store_directory = '{root}'",
        "PRAGMA wal_checkpoint",
        "COMMIT",
        "ROLLBACK",
        "DETACH main",
        "DELETE FROM sqlite_schema",
        "CREATE VIRTUAL TABLE v USING csv('/etc/passwd')",
        "UPDATE sqlite_schema SET sql = 'x'",
        "SELECT fts3_tokenizer('simple', x'00')",
        "SELECT 1; SELECT 2",
        "SELECT",
        "nonsense",
    ],
)
def test_what_reaches_out_of_the_database_is_never_allowed(
    ask, workspace, sql: str, write: bool
) -> None:
    with pytest.raises(QueryError):
        ask(sql.format(root=workspace.root), write=write)
    assert not (workspace.root / "b.db").exists()


async def test_a_refusal_says_what_and_the_remedy(query) -> None:
    with pytest.raises(QueryError, match=r"a change.*set `write`"):
        await query("DELETE FROM people")
    with pytest.raises(QueryError, match="PRAGMA writable_schema"):
        await query("PRAGMA writable_schema = ON", write=True)


@pytest.mark.parametrize(
    ("sql", "helps"),
    [
        ("DELETE FROM people", True),
        ("CREATE VIRTUAL TABLE v USING fts5(x)", True),
        ("ATTACH ':memory:' AS b", False),
        ("SELECT load_extension('x')", False),
    ],
)
def test_to_write_is_the_remedy_only_where_it_helps(ask, sql: str, helps: bool) -> None:
    with pytest.raises(QueryError) as caught:
        ask(sql)
    assert ("set `write`" in str(caught.value)) is helps


async def test_a_statement_that_is_no_unicode_is_refused(query) -> None:
    with pytest.raises(InvalidArgumentsError, match="The statement is not valid Unicode"):
        await query("SELECT '\ud800'")


def test_a_column_whose_name_is_no_unicode_is_named(ask, database) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute('CREATE TABLE odd("ZZZ")')
        connection.commit()
    database.write_bytes(database.read_bytes().replace(b"ZZZ", b"\xff\xfe\xfd"))
    with pytest.raises(QueryError, match="name of a column"):
        ask("SELECT * FROM odd")
    assert ask("SELECT count(*) FROM odd")["rows"] == [[0]]


async def test_writing_needs_its_own_permission(query, registry, workspace, database) -> None:
    tool = registry.get("query_sqlite")
    reads = {"path": "a.db", "sql": "SELECT 1"}
    assert tool.requests(reads, workspace) == (f"fs:read:{database}",)
    writes = {**reads, "write": True}
    assert tool.requests(writes, workspace) == (f"fs:read:{database}", f"fs:write:{database}")
    assert (effect_of(tool, reads), effect_of(tool, writes)) == ("read_only", "external")
    with pytest.raises(AccessDeniedError, match="fs:write"):
        await query("DELETE FROM people", f"fs:read:{database}", write=True)
    with pytest.raises(AccessDeniedError, match="fs:read"):
        await query("SELECT 1", "fs:read:/elsewhere/**")


async def test_a_change_is_made_and_told(query) -> None:
    made = await query("INSERT INTO people(name) VALUES ('Eve'), ('Zoe')", write=True)
    assert (made["changes"], made["last_row_id"], made["rows"]) == (2, 4, [])
    back = await query("DELETE FROM people WHERE id > 2 RETURNING name", write=True, max_rows=1)
    assert (back["rows"], back["truncated"]) == ([["Eve"]], True)
    assert (await query("SELECT count(*) FROM people"))["rows"] == [[2]]
    await query("CREATE VIRTUAL TABLE f USING fts5(body)", write=True)
    await query("INSERT INTO f VALUES ('hello world')", write=True)
    assert (await query("SELECT body FROM f WHERE f MATCH 'hello'"))["rows"] == [["hello world"]]


async def test_a_change_that_fails_leaves_nothing(query) -> None:
    with pytest.raises(QueryError, match="UNIQUE"):
        await query("INSERT INTO people(id, name) VALUES (9, 'x'), (1, 'y')", write=True)
    with pytest.raises(ToolTimeoutError):
        await query(
            "INSERT INTO people(name) WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM n)"
            " SELECT x FROM n",
            write=True,
            timeout=0.3,
        )
    assert (await query("SELECT count(*) FROM people"))["rows"] == [[2]]


async def test_time_is_limited(query) -> None:
    before = time.monotonic()
    with pytest.raises(ToolTimeoutError):
        await query(
            "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM n) SELECT count(*) FROM n",
            timeout=0.3,
        )
    assert time.monotonic() - before < 10


async def test_rows_and_bytes_are_limited(query, context_for) -> None:
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM n) "
    assert len((await query(endless + "SELECT x FROM n", max_rows=7))["rows"]) == 7  # noqa: S608 - constants
    small = context_for(output_limit_bytes=10_000)
    value = await query(endless + "SELECT hex(zeroblob(500)) FROM n", context=small)  # noqa: S608
    assert (value["truncated"], len(value["rows"])) == (True, 7)
    for bomb in (
        "SELECT zeroblob(1000000000)",
        "SELECT replace(hex(zeroblob(8000000)), '0', '00')",
        "SELECT " + "(" * 1_000 + "1" + ")" * 1_000,
        "SELECT 'a' LIKE '" + "%_" * 5_000 + "'",
    ):
        with pytest.raises(QueryError):
            await query(bomb)


async def test_a_view_of_the_database_cannot_do_more(query, database) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript("""
            CREATE VIEW evil AS SELECT load_extension('/tmp/x.so');
            CREATE TRIGGER t AFTER INSERT ON people BEGIN DELETE FROM people WHERE id = 1; END;
        """)
    with pytest.raises(QueryError):
        await query("SELECT * FROM evil")
    with pytest.raises(QueryError):
        await query("INSERT INTO people(name) VALUES ('x')")


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0" + b"\xff" * 4_096, b"hello" * 999])
async def test_what_is_no_database_is_told(query, database, content: bytes) -> None:
    database.write_bytes(content)
    if content:
        with pytest.raises(QueryError):
            await query("SELECT 1")
    else:  # SQLite takes an empty file as an empty database
        assert (await query("SELECT count(*) FROM sqlite_schema"))["rows"] == [[0]]


async def test_a_damaged_database_is_told(query, database) -> None:
    data = bytearray(database.read_bytes())
    data[4096:8192] = b"\xff" * 4096
    database.write_bytes(bytes(data))
    with pytest.raises(QueryError):
        await query("SELECT * FROM people")


async def test_a_database_in_wal_mode_is_read(query, database) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("INSERT INTO people(name) VALUES ('Eve')")
        connection.commit()
        assert (await query("SELECT count(*) FROM people"))["rows"] == [[3]]
    database.parent.chmod(0o755)
    assert (await query("SELECT count(*) FROM people"))["rows"] == [[3]]


def test_reading_a_database_in_wal_mode_makes_no_files_without_a_sandbox(ask, database) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
    assert ask("SELECT count(*) FROM people")["rows"] == [[2]]
    assert [path.name for path in database.parent.iterdir()] == ["a.db"]


async def test_a_lock_is_waited_for_and_then_told(query, database) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises((QueryError, ToolTimeoutError)):
            await query("DELETE FROM people", write=True, timeout=0.3)
    assert (await query("SELECT count(*) FROM people"))["rows"] == [[2]]


def crashed(database: Path, super_journal: Path | None) -> None:
    """Leave a database as a crash does in a transaction over several files, or over it alone."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("PRAGMA cache_size = 1")
        connection.execute("BEGIN")
        before = database.read_bytes()
        connection.execute("UPDATE people SET photo = zeroblob(100000)")
        connection.execute("INSERT INTO people(photo) VALUES (zeroblob(100000))")
        journal = database.with_name(f"{database.name}-journal")
        left = journal.read_bytes()
    database.write_bytes(before)
    if super_journal is not None:
        # As sqlite.org/fileformat2.html, section 3, has it, behind the last page.
        name, page_of_the_lock = str(super_journal).encode(), 0x40000000 // 4096 + 1
        left += struct.pack(">I", page_of_the_lock) + name
        left += struct.pack(">II", len(name), sum(name)) + left[:8]
    journal.write_bytes(left)


async def test_a_journal_has_no_other_file_deleted(query, database, tmp_path) -> None:
    other = tmp_path / "other.txt"
    other.write_text("precious")
    crashed(database, other)
    for write in (False, True):
        with pytest.raises(QueryError):
            await query("SELECT 1 FROM people", write=write)
    assert other.read_text() == "precious"


async def test_a_journal_of_the_database_alone_is_played_back(query, database) -> None:
    crashed(database, None)
    assert (await query("SELECT count(*) FROM people", write=True))["rows"] == [[2]]


CARELESS = (
    "import sys; sys.path.append(sys.argv[1]); import worker._connection as connection;"
    " connection.check_journal = lambda path: None; from worker import main; main()"
)
"""The worker without its look at the journal: what whoever wins the race against it gets."""


async def _need_landlock() -> None:
    if not (await prove(SandboxLevel.LANDLOCK)).proven:
        pytest.skip("this machine does not prove the level landlock")


async def test_without_a_sandbox_a_journal_has_other_files_deleted(
    query, database, tmp_path, monkeypatch
) -> None:
    async def nothing(_: ToolContext) -> SandboxLevel:
        return SandboxLevel.NONE

    other = tmp_path / "other.txt"
    other.write_text("precious")
    crashed(database, other)
    monkeypatch.setattr(_database, "_PROGRAM", CARELESS)
    monkeypatch.setattr(_database, "own_level", nothing)
    await query("SELECT 1 FROM people", write=True)
    assert not other.exists()


async def test_the_sandbox_keeps_a_journal_to_the_directory_of_the_database(
    query, database, tmp_path, monkeypatch
) -> None:
    await _need_landlock()
    other = tmp_path / "other.txt"
    other.write_text("precious")
    crashed(database, other)
    monkeypatch.setattr(_database, "_PROGRAM", CARELESS)
    for write in (False, True):
        with pytest.raises(QueryError):
            await query("SELECT 1 FROM people", write=write)
    assert other.read_text() == "precious"


async def test_beside_something_protected_nothing_is_ever_removed(
    query, database, context_for, monkeypatch
) -> None:
    await _need_landlock()
    events = database.with_name(".toka") / "events"
    events.parent.mkdir()
    events.write_text("precious")
    workspace = Workspace(database.parent, protected=(events.parent,))
    context = attrs.evolve(context_for(), workspace=workspace)
    await query("INSERT INTO people(name) VALUES ('Eve')", context=context, write=True)
    assert (await query("SELECT count(*) FROM people", context=context))["rows"] == [[3]]
    assert database.with_name("a.db-journal").read_bytes() == b""

    database.with_name("a.db-journal").unlink()
    crashed(database, events)
    monkeypatch.setattr(_database, "_PROGRAM", CARELESS)
    with pytest.raises(QueryError):
        await query("SELECT 1 FROM people", context=context, write=True)
    assert events.read_text() == "precious"


HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA journal_mode=WAL")
connection.execute("PRAGMA wal_autocheckpoint=0")
connection.execute(
    "INSERT INTO people(photo) WITH RECURSIVE n(x) AS"
    " (SELECT 1 UNION ALL SELECT x+1 FROM n LIMIT 1500) SELECT zeroblob(3900) FROM n"
)
print("ready", flush=True)
sys.stdin.read()
"""


async def test_shared_memory_cut_short_ends_the_worker_alone(query, database) -> None:
    await _need_landlock()
    command = [sys.executable, "-c", HOLDER, str(database)]
    async with await anyio.open_process(command) as holder:
        try:
            assert holder.stdout is not None
            await holder.stdout.receive()
            shared = database.with_name("a.db-shm")
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_cut_once_mapped, shared, holder.pid)
                with pytest.raises(QueryError, match=r"with SIGBUS.*cut one of its files short"):
                    # More pages than are kept in memory: each is looked for in the shared memory.
                    await query("SELECT count(a.photo || b.photo) FROM people a, people b")
        finally:
            holder.kill()  # It would meet the same end.


async def _cut_once_mapped(shared: Path, holder: int) -> None:
    while not any(str(shared) in one for one in _mapped_by_others(holder)):  # noqa: ASYNC110 - nobody tells
        await anyio.sleep(0.01)
    os.truncate(shared, 0)


def _mapped_by_others(holder: int) -> list[str]:
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and int(process.name) != holder:
            with suppress(OSError):
                found.append((process / "maps").read_text())
    return found


async def test_a_call_that_is_cancelled_takes_back_what_it_did(query, database) -> None:
    endless = (
        "INSERT INTO people(name) WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM n)"
        " SELECT x FROM n"
    )
    async with anyio.create_task_group() as tasks:

        async def cancel_once_begun() -> None:
            while not database.with_name("a.db-journal").exists():  # noqa: ASYNC110 - nobody tells
                await anyio.sleep(0.01)
            tasks.cancel_scope.cancel()

        tasks.start_soon(cancel_once_begun)
        await query(endless, write=True)
    with closing(sqlite3.connect(database, isolation_level=None, timeout=0)) as connection:
        connection.execute("BEGIN IMMEDIATE")  # Nobody holds it, and what was begun is taken back.
        assert connection.execute("SELECT count(*) FROM people").fetchall() == [(2,)]


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"[]",
        b'{"rows": 7}',
        b'{"rows": [[[]]]}',
        b'{"failure": {"kind": "file", "details": {"error": 1099511627776}}}',
        b"[" * 99_999,
    ],
)
def test_what_a_worker_says_is_checked(database, said: bytes) -> None:
    question = _database.Question(
        real=str(database), sql="", parameters=(), write=False, max_rows=1, timeout_ns=1
    )
    with pytest.raises(QueryError, match="without an answer"):
        _database._answer(Finished(0, None, said, b"", None, 0, 0, 0), question)


def test_a_worker_may_be_ended_by_a_signal_that_has_no_name(database) -> None:
    question = _database.Question(
        real=str(database), sql="", parameters=(), write=False, max_rows=1, timeout_ns=1
    )
    with pytest.raises(QueryError, match="ended with signal 40 and"):
        _database._answer(Finished(None, 40, b"", b"", None, 0, 0, 0), question)


async def test_what_does_not_fit_into_memory_is_sorted_in_files(query) -> None:
    rows = await query(
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM n LIMIT 4000)"
        " SELECT x, zeroblob(2000) FROM n ORDER BY -x LIMIT 1 OFFSET 3999"
    )
    assert rows["rows"][0][0] == 1


async def test_a_missing_database_is_made_only_if_asked(registry, context_for, workspace) -> None:
    async def make(**arguments: Json) -> object:
        given = {"path": "new.db", "sql": "CREATE TABLE t(x)", **arguments}
        return (await registry.call("query_sqlite", given, context_for())).value

    with pytest.raises(FileMissingError):
        await make(write=True)
    with pytest.raises(InvalidArgumentsError):
        await make(create=True)
    await make(write=True, create=True)
    assert (workspace.root / "new.db").read_bytes().startswith(b"SQLite format 3")


async def test_links_and_protected_places_are_decided_on_what_they_lead_to(
    database, tmp_path, workspace, registry, context_for
) -> None:
    outside = tmp_path / "outside.db"
    outside.write_bytes(database.read_bytes())
    (workspace.root / "link.db").symlink_to(outside)
    given = {"path": "link.db", "sql": "SELECT 1"}
    with pytest.raises(AccessDeniedError):
        await registry.call("query_sqlite", given, context_for())
    for path in ("/proc/self/mem", "/dev/null", str(workspace.root)):
        with pytest.raises((PathDeniedError, FileAccessError)):
            await registry.call("query_sqlite", {**given, "path": path}, context_for("fs:*:/**"))


@pytest.mark.parametrize("linked", [True, False])
def test_what_is_swapped_while_it_is_opened_is_refused(
    ask, database, tmp_path, workspace, monkeypatch, linked: bool
) -> None:
    # Right before SQLite opens the file its directory becomes another one, or a link to one.
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.db").write_bytes(database.read_bytes())
    genuine = _connection.open_database

    def swap_first(*arguments):
        workspace.root.rename(tmp_path / "moved")
        if linked:
            workspace.root.symlink_to(other)
        else:
            other.rename(workspace.root)
        return genuine(*arguments)

    monkeypatch.setattr(_connection, "open_database", swap_first)
    with pytest.raises(PathChangedError):
        ask("SELECT * FROM people")


async def test_what_was_swapped_before_the_worker_came_is_refused(
    query, database, tmp_path, monkeypatch
) -> None:
    genuine = _database._identity

    def swap_after(real: str) -> tuple[int, int]:
        seen = genuine(real)
        database.rename(tmp_path / "moved.db")
        database.write_bytes((tmp_path / "moved.db").read_bytes())
        return seen

    monkeypatch.setattr(_database, "_identity", swap_after)
    with pytest.raises(PathChangedError):
        await query("SELECT 1")


async def test_bad_arguments_are_refused(query) -> None:
    for bad in ({"parameters": [[1]]}, {"parameters": 7}, {"max_rows": 0}, {"write": "yes"}):
        with pytest.raises(InvalidArgumentsError):
            await query("SELECT 1", **bad)
    with pytest.raises(InvalidArgumentsError):
        await query("SELECT ?", parameters=["\ud800"])
    for wrong in ([], [1, 2], {"b": 1}, [2**70]):
        with pytest.raises(QueryError):
            await query("SELECT :a", parameters=wrong)
