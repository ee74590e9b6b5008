"""The tools that this distribution brings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toka.tools._edit_file import EditFile
from toka.tools._http_request import HttpRequest
from toka.tools._list_files import ListFiles
from toka.tools._read_file import ReadFile
from toka.tools._run_command import RunCommand
from toka.tools._search_files import SearchFiles
from toka.tools._write_file import AppendFile, WriteFile

if TYPE_CHECKING:
    from toka.tools._tool import Tool


def builtin_tools() -> tuple[Tool, ...]:
    """Return one of each."""
    return (
        AppendFile(),
        EditFile(),
        HttpRequest(),
        ListFiles(),
        ReadFile(),
        RunCommand(),
        SearchFiles(),
        WriteFile(),
    )
