"""A copy of a store that is being written to.

Never copy the files of an open store: the database without its write-ahead log is an older or an
empty one. SQLite's backup reads one consistent state, of which its write transactions do not wait.
"""

from __future__ import annotations

import os
from contextlib import closing
from typing import TYPE_CHECKING, Final

from toka.store.core import OpenRefused
from toka.store.core.backend import HeadFile, sync_directory
from toka.store.sqlite._files import Files, connect, inspect

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from toka.store.core import Head
    from toka.store.sqlite._reader import Reader

_PARTIAL: Final = ".partial"


def back_up(reader: Reader, target: Path) -> Head:
    """Copy what `reader` sees to `target`, with a head file of its own, and check the copy.

    Raises:
        OpenRefused: There is something at `target`.
        Damaged: The copy is not sound, because its source is not.
        sqlite3.Error: Input or output failed.
        OSError: Output failed.
    """
    files = Files(target.absolute())
    for path in (files.database, files.wal, files.head):
        if path.exists():
            raise OpenRefused(
                f"There is something at {path} already.",
                code="store.exists",
                hint="Name a path where there is nothing.",
                details={"location": str(path)},
            )
    partial = Files(target.with_name(target.name + _PARTIAL).absolute())
    try:
        _copy(reader.connection, partial)
        head = inspect(partial, accept_loss=True)
        head_file = HeadFile(files.head)
        head_file.rewrite(head)
        head_file.close()
        # The database last: until it has its name, there is no store to be found half done.
        partial.database.replace(files.database)
        sync_directory(files.database.parent)
    except BaseException:
        files.head.unlink(missing_ok=True)
        raise
    finally:
        for path in (partial.database, partial.wal):
            path.unlink(missing_ok=True)
    return head


def _copy(source: sqlite3.Connection, partial: Files) -> None:
    partial.database.unlink(missing_ok=True)
    with closing(connect(partial.database)) as copy:
        source.backup(copy)
    with partial.database.open("rb") as file:
        os.fsync(file.fileno())
