"""The tools that this distribution brings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toka.tools.builtin._ask_person import AskPerson
from toka.tools.builtin._edit_file import EditFile
from toka.tools.builtin._fetch_page import FetchPage
from toka.tools.builtin._git import GitDiff, GitLog, GitStatus
from toka.tools.builtin._http_request import HttpRequest
from toka.tools.builtin._list_files import ListFiles
from toka.tools.builtin._notes import RecallNote, StoreNote
from toka.tools.builtin._query_sqlite import QuerySqlite
from toka.tools.builtin._read_file import ReadFile
from toka.tools.builtin._run_command import RunCommand
from toka.tools.builtin._run_python import RunPython
from toka.tools.builtin._search_files import SearchFiles
from toka.tools.builtin._validate_build import ValidateBuild
from toka.tools.builtin._validate_dates import ValidateDates
from toka.tools.builtin._wait import Wait
from toka.tools.builtin._write_file import AppendFile, WriteFile

if TYPE_CHECKING:
    from toka.tools._tool import Tool


def builtin_tools() -> tuple[Tool, ...]:
    """Return one of each."""
    return (
        AppendFile(),
        AskPerson(),
        EditFile(),
        FetchPage(),
        GitDiff(),
        GitLog(),
        GitStatus(),
        HttpRequest(),
        ListFiles(),
        QuerySqlite(),
        ReadFile(),
        RecallNote(),
        RunCommand(),
        RunPython(),
        SearchFiles(),
        StoreNote(),
        ValidateBuild(),
        ValidateDates(),
        Wait(),
        WriteFile(),
    )
