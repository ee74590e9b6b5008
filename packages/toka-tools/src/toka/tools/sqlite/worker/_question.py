"""What the worker is asked; `toka.tools.sqlite` writes it, as JSON."""

from __future__ import annotations


class Question:
    """A statement, the database it is for, and how much of an answer there may be."""

    __slots__ = (
        "identity",
        "keeps_files",
        "max_bytes",
        "max_rows",
        "parameters",
        "path",
        "sql",
        "timeout_ns",
        "write",
    )

    def __init__(
        self,
        path: str,
        identity: tuple[int, int],
        sql: str,
        parameters: list[object] | dict[str, object],
        write: bool,
        keeps_files: bool,
        max_rows: int,
        max_bytes: int,
        timeout_ns: int,
    ) -> None:
        self.path, self.identity = path, (identity[0], identity[1])
        """The path without links, and device and inode of the file that was checked there."""
        self.sql, self.parameters, self.write = sql, parameters, write
        self.keeps_files = keeps_files
        """Whether it must not be able to remove any file."""
        self.max_rows, self.max_bytes, self.timeout_ns = max_rows, max_bytes, timeout_ns
