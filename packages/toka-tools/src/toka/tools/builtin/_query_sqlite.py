"""The tool `query_sqlite`."""

from __future__ import annotations

import base64
import math
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

import attrs
from msgspec import Meta

from toka.tools._deadline import Deadline
from toka.tools._errors import InvalidArgumentsError
from toka.tools._typed import Output, TypedTool
from toka.tools.files._paths import demand, file_request, open_parent, resolve, system_error

if TYPE_CHECKING:
    import sqlite3

    from toka.tools._context import ToolContext, Workspace
    from toka.types import Json, JsonObject, SideEffect

Parameters: TypeAlias = (
    tuple[str | int | float | bool | None, ...] | dict[str, str | int | float | bool | None]
)

_VALUE_BYTES: Final = 8


@attrs.frozen
class QuerySqliteArguments:
    """Arguments of `query_sqlite`."""

    path: Annotated[str, Meta(description="The database file.", min_length=1)]
    sql: Annotated[str, Meta(description="One statement.", min_length=1, max_length=1 << 20)]
    parameters: Annotated[
        Parameters,
        Meta(description="Values for `?`, or by name for `:name`. Never put values into `sql`."),
    ] = ()
    write: Annotated[bool, Meta(description="Allow changes, in one transaction.")] = False
    create: Annotated[bool, Meta(description="With `write`, make a missing database.")] = False
    max_rows: Annotated[int, Meta(ge=1, le=100_000)] = 1_000
    timeout: Annotated[Annotated[float, Meta(gt=0)] | None, Meta(description="Seconds.")] = None


class QuerySqlite(TypedTool[QuerySqliteArguments]):
    """Asks a SQLite database, which it cannot change unless the call says so."""

    name = "query_sqlite"
    description = (
        "Run one SQL statement on a SQLite database file; read-only unless `write`. Returns"
        ' `columns` and `rows` (arrays in that order; bytes as {"base64": ...}), `changes`,'
        " `last_row_id`, and `truncated` if there are more rows. The schema is in sqlite_schema."
    )
    side_effect: SideEffect = "external"
    actions = ("fs:read",)
    kind = QuerySqliteArguments

    def effect_of(self, arguments: JsonObject) -> SideEffect:
        """Return what running the statement once more would do, at worst."""
        return "external" if arguments.get("write") is True else "read_only"

    def needs(self, arguments: QuerySqliteArguments, workspace: Workspace) -> tuple[str, ...]:
        real = resolve(arguments.path, workspace)
        return tuple([file_request(action, real) for action in _actions(arguments)])

    async def run(self, arguments: QuerySqliteArguments, context: ToolContext) -> Output:
        import anyio.to_thread  # noqa: PLC0415 - 40 ms at import

        return await anyio.to_thread.run_sync(_query, arguments, context)


def _actions(arguments: QuerySqliteArguments) -> tuple[str, ...]:
    return ("read", "write") if arguments.write else ("read",)


def _query(arguments: QuerySqliteArguments, context: ToolContext) -> Output:
    from toka.tools.sqlite._connection import (  # noqa: PLC0415 - 5 ms at import
        connected,
        explained,
        transaction,
    )

    real = resolve(arguments.path, context.workspace)
    for action in _actions(arguments):
        demand(action, real, context)
    deadline = Deadline.within(arguments.timeout, context)
    parameters = _checked(arguments.parameters)
    if arguments.create:
        _make(real, arguments)
    with (
        connected(real, deadline, writes=arguments.write) as (connection, authorizer),
        explained(real, deadline, authorizer),
        transaction(connection, authorizer),
    ):
        cursor = connection.execute(arguments.sql, parameters)
        rows, more = _rows(cursor, arguments.max_rows, context.output_limit_bytes)
        if arguments.write:
            for _ in cursor:  # What is not read to its end is not done to its end.
                pass
        value: dict[str, Json] = {
            "path": real,
            "columns": [column[0] for column in cursor.description or ()],
            "rows": rows,
            "changes": max(0, cursor.rowcount) if arguments.write else 0,
            "last_row_id": cursor.lastrowid if arguments.write else None,
            "truncated": more,
        }
    return Output(value, truncated=more)


def _make(real: str, arguments: QuerySqliteArguments) -> None:
    if not arguments.write:
        raise InvalidArgumentsError("`create` is for calls that `write`.")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open_parent(real) as (parent, name), suppress(FileExistsError):
        try:
            os.close(os.open(name, flags, 0o666, dir_fd=parent))
        except FileExistsError:
            raise
        except OSError as error:
            raise system_error(error, real) from error


def _checked(parameters: Parameters) -> Parameters:
    values = parameters.values() if isinstance(parameters, dict) else parameters
    try:
        for value in values:
            if isinstance(value, str):
                value.encode()
    except UnicodeEncodeError as error:
        raise InvalidArgumentsError("A parameter is not valid Unicode.") from error
    return parameters


def _rows(cursor: sqlite3.Cursor, most: int, room: int) -> tuple[list[Json], bool]:
    """Return the rows that there is room for, and whether there are more."""
    rows: list[Json] = []
    for row in cursor:
        room -= sum([_size(value) for value in row])
        if len(rows) >= most or room < 0:
            return rows, True
        rows.append([_json(value) for value in row])
    return rows, False


def _size(value: object) -> int:
    return _VALUE_BYTES + (len(value) * 4 // 3 if isinstance(value, (str, bytes)) else 0)


def _json(value: object) -> Json:
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, (str, int, float)) else None
