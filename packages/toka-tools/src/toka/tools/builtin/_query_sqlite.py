"""The tool `query_sqlite`."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, TypeAlias

import attrs
from msgspec import Meta

from toka.tools._deadline import shorter
from toka.tools._errors import InvalidArgumentsError
from toka.tools._typed import Output, TypedTool
from toka.tools.files._paths import demand, file_request, open_parent, resolve, system_error

if TYPE_CHECKING:
    from toka.tools._context import ToolContext, Workspace
    from toka.types import Json, JsonObject, SideEffect

Parameters: TypeAlias = (
    tuple[str | int | float | bool | None, ...] | dict[str, str | int | float | bool | None]
)


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
        from toka.tools.sqlite._database import Question, ask  # noqa: PLC0415 - rarely needed

        real = resolve(arguments.path, context.workspace)
        for action in _actions(arguments):
            demand(action, real, context)
        question = Question(
            real=real,
            sql=_checked_text(arguments.sql, "The statement"),
            parameters=_checked(arguments.parameters),
            write=arguments.write,
            max_rows=arguments.max_rows,
            timeout_ns=shorter(arguments.timeout, context),
        )
        if arguments.create:
            _make(real, arguments)
        answer = await ask(question, context)
        value: dict[str, Json] = {
            "path": real,
            "columns": list(answer.columns),
            "rows": [list(row) for row in answer.rows],
            "changes": answer.changes,
            "last_row_id": answer.last_row_id,
            "truncated": answer.truncated,
        }
        return Output(value, truncated=answer.truncated)


def _actions(arguments: QuerySqliteArguments) -> tuple[str, ...]:
    return ("read", "write") if arguments.write else ("read",)


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
    for value in parameters.values() if isinstance(parameters, dict) else parameters:
        if isinstance(value, str):
            _checked_text(value, "A parameter")
    return parameters


def _checked_text(text: str, what: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidArgumentsError(f"{what} is not valid Unicode.") from error
    return text
