"""SQLite: what a statement may do, and how much of it."""

from __future__ import annotations

import sqlite3
import struct
import time
from contextlib import closing
from typing import TYPE_CHECKING, cast

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
    effect_of,
)
from toka.tools.sqlite import _connection

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

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
async def test_nothing_changes_unless_the_call_says_so(query, database, sql: str) -> None:
    before = database.read_bytes()
    with pytest.raises(QueryError):
        await query(sql)
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
async def test_what_reaches_out_of_the_database_is_never_allowed(
    query, workspace, sql: str, write: bool
) -> None:
    with pytest.raises(QueryError):
        await query(sql.format(root=workspace.root), write=write)
    assert not (workspace.root / "b.db").exists()


async def test_a_refusal_says_what_and_the_remedy(query) -> None:
    with pytest.raises(QueryError, match=r"a change.*set `write`"):
        await query("DELETE FROM people")
    with pytest.raises(QueryError, match="PRAGMA writable_schema"):
        await query("PRAGMA writable_schema = ON", write=True)


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


async def test_a_file_swapped_while_it_is_opened_is_refused(
    query, database, tmp_path, workspace, monkeypatch
) -> None:
    # The directory becomes a link to another one right before SQLite opens the file.
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "a.db").write_bytes(database.read_bytes())
    genuine = _connection._open

    def swap_first(*arguments):
        workspace.root.rename(tmp_path / "moved")
        workspace.root.symlink_to(secret)
        return genuine(*arguments)

    monkeypatch.setattr(_connection, "_open", swap_first)
    with pytest.raises(PathChangedError):
        await query("SELECT * FROM people")


async def test_a_directory_swapped_while_it_is_opened_is_refused(
    query, tmp_path, workspace, monkeypatch
) -> None:
    # Another directory under the same name: no link anywhere, but not the file that was checked.
    genuine = _connection._open

    def swap_first(*arguments):
        workspace.root.rename(tmp_path / "moved")
        workspace.root.mkdir()
        (workspace.root / "a.db").write_bytes((tmp_path / "moved" / "a.db").read_bytes())
        return genuine(*arguments)

    monkeypatch.setattr(_connection, "_open", swap_first)
    with pytest.raises(PathChangedError):
        await query("SELECT * FROM people")


async def test_bad_arguments_are_refused(query) -> None:
    for bad in ({"parameters": [[1]]}, {"parameters": 7}, {"max_rows": 0}, {"write": "yes"}):
        with pytest.raises(InvalidArgumentsError):
            await query("SELECT 1", **bad)
    with pytest.raises(InvalidArgumentsError):
        await query("SELECT ?", parameters=["\ud800"])
    for wrong in ([], [1, 2], {"b": 1}, [2**70]):
        with pytest.raises(QueryError):
            await query("SELECT :a", parameters=wrong)
