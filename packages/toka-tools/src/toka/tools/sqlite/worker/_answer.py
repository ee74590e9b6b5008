"""From a statement to rows that are JSON, as many as there is room for."""

from __future__ import annotations

import binascii
import math
from typing import TYPE_CHECKING

from ._connection import connected, explained, transaction
from ._failure import FailureError, query_failed

if TYPE_CHECKING:
    import sqlite3

    from ._question import Question
    from ._time import Deadline

VALUE_BYTES = 8


def answer(question: Question, deadline: Deadline) -> dict[str, object]:
    """Return the answer, or under `failure` why there is none."""
    try:
        return _answer(question, deadline)
    except FailureError as failure:
        return _told(failure)
    except MemoryError:
        return _told(query_failed("The statement needs more memory than it may use."))


def _told(failure: FailureError) -> dict[str, object]:
    told = {"kind": failure.kind, "message": failure.message, "hint": failure.hint}
    return {"failure": {**told, "details": failure.details}}


def _answer(question: Question, deadline: Deadline) -> dict[str, object]:
    with (
        connected(question, deadline) as (connection, authorizer),
        explained(deadline, authorizer),
        transaction(connection, authorizer),
    ):
        cursor = connection.execute(question.sql, question.parameters)
        columns = [column[0] for column in cursor.description or ()]
        room = question.max_bytes - sum([len(name) for name in columns])
        if room < 0:
            raise query_failed("The names of the columns alone are longer than an answer may be.")
        rows, more = _rows(cursor, question.max_rows, room)
        if question.write:
            for _ in cursor:  # What is not read to its end is not done to its end.
                pass
        return {
            "columns": columns,
            "rows": rows,
            "changes": max(0, cursor.rowcount) if question.write else 0,
            "last_row_id": cursor.lastrowid if question.write else None,
            "truncated": more,
        }


def _rows(cursor: sqlite3.Cursor, most: int, room: int) -> tuple[list[list[object]], bool]:
    """Return the rows that there is room for, and whether there are more."""
    rows: list[list[object]] = []
    for row in cursor:
        room -= sum([_size(value) for value in row])
        if len(rows) >= most or room < 0:
            return rows, True
        rows.append([_json(value) for value in row])
    return rows, False


def _size(value: object) -> int:
    return VALUE_BYTES + (len(value) * 4 // 3 if isinstance(value, (str, bytes)) else 0)


def _json(value: object) -> object:
    if isinstance(value, bytes):
        return {"base64": binascii.b2a_base64(value, newline=False).decode()}
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
