"""The tool `search_files`.

Regular expressions come from models and pages, so a search must end whatever they say. They are
matched by RE2, in time linear in the text and with bounded memory; `re` takes exponential time for
some, and others need gigabytes to be compiled. Look-around and back-references are the price. Lines
are cut at a length.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Annotated, Final, Protocol, cast

import attrs
from msgspec import Meta

from toka.tools._deadline import Deadline
from toka.tools._errors import FileAccessError, InvalidArgumentsError
from toka.tools._typed import Output, TypedTool
from toka.tools.builtin._read_file import read_bytes
from toka.tools.files._glob import PathPattern
from toka.tools.files._paths import open_regular, path_request, resolve
from toka.tools.files._walk import DEFAULT_IGNORE, Found, Walk

if TYPE_CHECKING:
    from collections.abc import Callable

    from toka.tools._context import ToolContext, Workspace
    from toka.types import Json, SideEffect

    Finder = Callable[[str], int | None]

MAX_FILE_BYTES: Final = 16 << 20
MAX_LINE_CHARACTERS: Final = 10_000
_SHOWN_CHARACTERS: Final = 500
_SNIFFED_BYTES: Final = 8_192
# The JSON of a match besides its path and text.
_MATCH_BYTES: Final = 60


class _Match(Protocol):
    def start(self) -> int: ...


class _Pattern(Protocol):
    def search(self, text: str) -> _Match | None: ...


class _Options(Protocol):
    """What is used of the options of RE2, which has no stubs."""

    case_sensitive: bool
    literal: bool
    log_errors: bool
    never_capture: bool


@attrs.frozen
class SearchFilesArguments:
    """Arguments of `search_files`."""

    text: Annotated[
        Annotated[str, Meta(min_length=1, max_length=1_000)] | None,
        Meta(description="Text to find, as it is."),
    ] = None
    regex: Annotated[
        Annotated[str, Meta(min_length=1, max_length=1_000)] | None,
        Meta(description="Regular expression to find within a line, instead of `text`."),
    ] = None
    path: Annotated[str, Meta(description="The directory; relative to the workspace.")] = "."
    pattern: Annotated[
        str, Meta(description="Over relative paths: * ? [...] within a name, ** any names.")
    ] = "**/*"
    ignore_case: bool = False
    hidden: Annotated[bool, Meta(description="Include names that begin with a dot.")] = False
    ignore: Annotated[
        tuple[str, ...], Meta(description="Names to leave out, with all below them.")
    ] = DEFAULT_IGNORE
    max_matches: Annotated[int, Meta(ge=1, le=100_000)] = 1_000


class SearchFiles(TypedTool[SearchFilesArguments]):
    """Searches the text files of a directory tree, line by line."""

    name = "search_files"
    description = (
        "Search files below a directory for a text or a regular expression. Returns sorted"
        " `matches` with absolute `path`, `line`, `column` (both from 1) and the line's `text`."
    )
    side_effect: SideEffect = "read_only"
    actions = ("fs:read",)
    kind = SearchFilesArguments

    def needs(self, arguments: SearchFilesArguments, workspace: Workspace) -> tuple[str, ...]:
        return (path_request("read", arguments.path, workspace),)

    async def run(self, arguments: SearchFilesArguments, context: ToolContext) -> Output:
        import anyio.to_thread  # noqa: PLC0415 - 40 ms at import

        return await anyio.to_thread.run_sync(_search, arguments, context)


@attrs.define
class _Search:
    """One search: what is looked for, and what has been found."""

    walk: Walk
    limit: int
    room: int
    find: Finder
    matches: list[Json] = attrs.field(factory=list["Json"], init=False)
    files: int = 0
    binary: int = 0
    truncated: bool = False

    def add(self, path: str, line: int, column: int, text: str) -> None:
        shown = text[:_SHOWN_CHARACTERS]
        self.room -= len(path) + len(shown) + _MATCH_BYTES
        if len(self.matches) >= self.limit or self.room < 0:
            self.truncated = True
        else:
            self.matches.append({"path": path, "line": line, "column": column, "text": shown})


def _search(arguments: SearchFilesArguments, context: ToolContext) -> Output:
    pattern = PathPattern(arguments.pattern)
    root = resolve(arguments.path, context.workspace)
    walk = Walk(root, context, arguments.hidden, arguments.ignore, pattern.deepest)
    finder = _finder(arguments, Deadline.of(context))
    search = _Search(walk, arguments.max_matches, context.output_limit_bytes, finder)
    for found in walk:
        if found.type == "file" and pattern.matches(found.names):
            _search_file(search, found, _needle(arguments))
        if search.truncated:
            break
    value: dict[str, Json] = {
        "path": root,
        "matches": search.matches,
        "truncated": search.truncated,
        "files_searched": search.files,
        "binary_files": search.binary,
        "skipped": walk.skipped,
        "skipped_more": walk.skipped_more,
    }
    return Output(value, truncated=search.truncated)


def _finder(arguments: SearchFilesArguments, deadline: Deadline) -> Finder:
    if (arguments.text is None) == (arguments.regex is None):
        raise InvalidArgumentsError("search_files takes `text` or `regex`, one of them.")
    if arguments.text is not None and not arguments.ignore_case:
        return _text_finder(arguments.text)
    return _regex_finder(arguments, deadline)


def _text_finder(text: str) -> Finder:
    def find(line: str) -> int | None:
        found = line.find(text)
        return found if found >= 0 else None

    return find


def _regex_finder(arguments: SearchFilesArguments, deadline: Deadline) -> Finder:
    re2 = importlib.import_module("re2")
    options = cast("_Options", re2.Options())
    options.case_sensitive = not arguments.ignore_case
    options.literal = arguments.regex is None
    options.log_errors = False
    options.never_capture = True
    source = arguments.text if arguments.regex is None else arguments.regex
    try:
        compiled = cast("_Pattern", re2.compile(source, options))
    except (re2.error, UnicodeEncodeError) as error:
        raise InvalidArgumentsError(
            f"`regex` is no regular expression of RE2: {_why(error)}.",
            hint="RE2 has no look-around and no back-references.",
        ) from error

    def find(line: str) -> int | None:
        deadline.check()
        match = compiled.search(line)
        return None if match is None else match.start()

    return find


def _why(error: Exception) -> str:
    told: object = error.args[0] if error.args else ""
    return told.decode(errors="replace") if isinstance(told, bytes) else str(error)


def _needle(arguments: SearchFilesArguments) -> bytes | None:
    """Return bytes without which a file cannot match; looking for them is cheap."""
    if arguments.text is None or arguments.ignore_case or "\ufffd" in arguments.text:
        return None
    return arguments.text.encode("utf-8", "surrogatepass")


def _search_file(search: _Search, found: Found, needle: bytes | None) -> None:
    if found.status.st_size > MAX_FILE_BYTES:
        search.walk.skip(found.path, f"larger than {MAX_FILE_BYTES} bytes")
        return
    try:
        data = _read(search.walk, found)
    except FileAccessError as error:
        search.walk.skip(found.path, error.message)
        return
    if data is None:
        return
    search.files += 1
    if b"\0" in data[:_SNIFFED_BYTES]:
        search.binary += 1
    elif needle is None or needle in data:
        _search_lines(search, found.path, data)


def _read(walk: Walk, found: Found) -> bytes | None:
    if not walk.granted(found.path):
        walk.skip(found.path, "outside what is granted")
        return None
    descriptor = open_regular(found.parent, found.names[-1], found.path)
    try:
        data, _ = read_bytes(descriptor, 0, MAX_FILE_BYTES)
    finally:
        os.close(descriptor)
    return data


def _search_lines(search: _Search, path: str, data: bytes) -> None:
    for number, line in enumerate(data.decode(errors="replace").split("\n"), 1):
        cut = line[:MAX_LINE_CHARACTERS]
        found = search.find(cut)
        if found is not None:
            search.add(path, number, found + 1, cut.rstrip("\r"))
            if search.truncated:
                return
