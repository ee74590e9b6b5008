"""Which statements a connection takes: the authorizer of SQLite (sqlite.org/c3ref/set_authorizer).

SQLite asks about every access while it compiles a statement, so what is decided here holds for
views, triggers and whatever the database itself brings along. An action that is not named is
refused, and so is a function that is.
"""

from __future__ import annotations

import sqlite3


def _codes(names: str) -> frozenset[int]:
    return frozenset([getattr(sqlite3, f"SQLITE_{name}") for name in names.split()])


_READS = _codes("SELECT READ FUNCTION RECURSIVE")
_WRITES = _codes("""
    INSERT UPDATE DELETE ANALYZE REINDEX ALTER_TABLE
    CREATE_INDEX CREATE_TABLE CREATE_TRIGGER CREATE_VIEW CREATE_TEMP_INDEX CREATE_TEMP_TABLE
    CREATE_TEMP_TRIGGER CREATE_TEMP_VIEW DROP_INDEX DROP_TABLE DROP_TRIGGER DROP_VIEW
    DROP_TEMP_INDEX DROP_TEMP_TABLE DROP_TEMP_TRIGGER DROP_TEMP_VIEW
""")
_MODULES = frozenset({"fts3", "fts4", "fts5", "rtree"})

# These say something about the schema and change nothing.
_PRAGMAS = frozenset(
    {
        "foreign_key_list",
        "index_info",
        "index_list",
        "index_xinfo",
        "table_info",
        "table_list",
        "table_xinfo",
    }
)
# These would change something if they were given a value.
_PRAGMAS_ALONE = frozenset(
    {"application_id", "data_version", "encoding", "journal_mode", "page_count", "page_size"}
    | {"schema_version", "user_version"}
)
# Functions that reach out of the database, where a build of SQLite has them.
_FUNCTIONS = frozenset({"load_extension", "readfile", "writefile", "edit", "fts3_tokenizer"})


class Authorizer:
    """Decides about one connection, and remembers what it refused."""

    __slots__ = ("own", "refused", "refused_for_reading", "writes")

    def __init__(self, writes: bool) -> None:
        self.writes = writes
        self.refused = ""
        self.refused_for_reading = False
        """Whether a connection that writes would have been allowed what was refused."""
        self.own = False
        """Whether this distribution is speaking, and not the caller."""

    def __call__(
        self, action: int, first: str | None, second: str | None, _: str | None, __: str | None
    ) -> int:
        """Return what SQLite asks for; see its documentation for the arguments of each action."""
        if self.own or _allows(action, first, second, self.writes):
            return sqlite3.SQLITE_OK
        if not self.refused:
            self.refused = _name(action, first, second)
            self.refused_for_reading = _allows(action, first, second, writes=True)
        return sqlite3.SQLITE_DENY


def _allows(action: int, first: str | None, second: str | None, writes: bool) -> bool:
    if action == sqlite3.SQLITE_FUNCTION:
        return (second or "").lower() not in _FUNCTIONS
    if action == sqlite3.SQLITE_PRAGMA:
        name = (first or "").lower()
        return name in _PRAGMAS or (name in _PRAGMAS_ALONE and second is None)
    if action in (sqlite3.SQLITE_CREATE_VTABLE, sqlite3.SQLITE_DROP_VTABLE):
        return writes and (second or "").lower() in _MODULES
    # To open a virtual table, SQLite asks as if it changed the schema, which it does not.
    opens = action == sqlite3.SQLITE_UPDATE and first == "sqlite_master"
    return opens or action in _READS or (writes and action in _WRITES)


_NAMES = {
    sqlite3.SQLITE_ATTACH: "ATTACH, or VACUUM, which uses it",
    sqlite3.SQLITE_DETACH: "DETACH",
    sqlite3.SQLITE_CREATE_VTABLE: "a virtual table of that module",
    sqlite3.SQLITE_TRANSACTION: "a transaction",
    sqlite3.SQLITE_SAVEPOINT: "a savepoint",
}


def _name(action: int, first: str | None, second: str | None) -> str:
    if action == sqlite3.SQLITE_PRAGMA:
        return f"PRAGMA {first}"
    if action == sqlite3.SQLITE_FUNCTION:
        return f"the function {second}"
    return _NAMES.get(action, "a change")
