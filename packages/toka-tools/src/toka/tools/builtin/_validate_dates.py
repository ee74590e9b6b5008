"""The tool `validate_dates`: dates that have not come yet, in the files of a project."""

from __future__ import annotations

import os
import re
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated, Final

import attrs
from msgspec import Meta

from toka.tools._errors import FileAccessError, ToolError
from toka.tools._typed import Output, TypedTool
from toka.tools.builtin._read_file import read_bytes
from toka.tools.files._glob import PathPattern
from toka.tools.files._paths import demand, file_request, open_regular, resolve
from toka.tools.files._replace import replace_file
from toka.tools.files._walk import Walk, printable
from toka.types import NANOSECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toka.tools._context import ToolContext, Workspace
    from toka.tools.files._walk import Found
    from toka.types import Json, JsonObject, SideEffect

SUFFIXES: Final = (".rs", ".toml", ".yaml", ".yml", ".md", ".txt", ".py", ".sh")
IGNORED: Final = (".git", "build", "dist", "node_modules", "target")
MAX_FILE_BYTES: Final = 4 << 20

# Not in longer numbers or paths: `12025-07-06` and `2025-07-06-1` are no dates.
_DATE: Final = re.compile(
    r"(?<![\w/-])(?:(?P<y1>\d{4})-(?P<m1>\d\d)-(?P<d1>\d\d)(?![\d/-])"
    r"|(?P<m2>\d\d)/(?P<d2>\d\d)/(?P<y2>\d{4})(?![\d/-])"
    r"|(?P<y3>\d{4})/(?P<m3>\d\d)/(?P<d3>\d\d)(?![\d/-]))",
    re.ASCII,
)
_FORMATS: Final = {"1": "%Y-%m-%d", "2": "%m/%d/%Y", "3": "%Y/%m/%d"}
_VIOLATION_BYTES: Final = 200


@attrs.frozen
class ValidateDatesArguments:
    """Arguments of `validate_dates`."""

    path: Annotated[str, Meta(description="The directory.", min_length=1)] = "."
    pattern: Annotated[str, Meta(description="Over relative paths, such as docs/**/*.md.")] = "**/*"
    fix_violations: Annotated[bool, Meta(description="Write today's date in their place.")] = False
    strict: Annotated[
        bool, Meta(description="Report dates that no calendar has, too, such as 2025-02-30.")
    ] = False
    max_violations: Annotated[int, Meta(ge=1, le=100_000)] = 1_000


class ValidateDates(TypedTool[ValidateDatesArguments]):
    """Finds dates in the future, and puts today's in their place where asked."""

    name = "validate_dates"
    description = (
        "Find dates in the future in the text files of a project (YYYY-MM-DD, MM/DD/YYYY,"
        " YYYY/MM/DD). Returns `violations` with file_path, line_number, date_text, parsed_date"
        " and days_in_future, and `fixes_applied`."
    )
    side_effect: SideEffect = "idempotent"
    actions = ("fs:read",)
    kind = ValidateDatesArguments

    def effect_of(self, arguments: JsonObject) -> SideEffect:
        """Return what checking once more would do: files that are mended stay as they are."""
        return "idempotent" if arguments.get("fix_violations") is True else "read_only"

    def needs(self, arguments: ValidateDatesArguments, workspace: Workspace) -> tuple[str, ...]:
        real = resolve(arguments.path, workspace)
        actions = ("read", "write") if arguments.fix_violations else ("read",)
        return tuple([file_request(action, real) for action in actions])

    async def run(self, arguments: ValidateDatesArguments, context: ToolContext) -> Output:
        import anyio.to_thread  # noqa: PLC0415 - 40 ms at import

        return await anyio.to_thread.run_sync(_validate, arguments, context)


@attrs.define
class _Check:
    """One check of a tree."""

    arguments: ValidateDatesArguments
    context: ToolContext
    walk: Walk
    today: date
    room: int
    violations: list[Json] = attrs.field(factory=list["Json"], init=False)
    files: int = 0
    fixes: int = 0
    truncated: bool = False

    def add(self, found: Found, line: int, text: str, parsed: date | None) -> None:
        """Report one date; of a date that no calendar has nothing is parsed."""
        self.room -= len(found.path) + _VIOLATION_BYTES
        if len(self.violations) >= self.arguments.max_violations or self.room < 0:
            self.truncated = True
            return
        ahead = None if parsed is None else (parsed - self.today).days
        self.violations.append(
            {
                "file_path": found.path,
                "line_number": line,
                "date_text": text,
                "parsed_date": None if parsed is None else parsed.isoformat(),
                "days_in_future": ahead,
            }
        )


def _validate(arguments: ValidateDatesArguments, context: ToolContext) -> Output:
    root = resolve(arguments.path, context.workspace)
    if arguments.fix_violations:
        demand("write", root, context)
    pattern = PathPattern(arguments.pattern)
    walk = Walk(root, context, hidden=False, ignore=IGNORED, deepest=pattern.deepest)
    today = datetime.fromtimestamp(context.clock.now() // NANOSECONDS, UTC).date()
    check = _Check(arguments, context, walk, today, context.output_limit_bytes)
    for found in walk:
        if found.type == "file" and found.names[-1].endswith(SUFFIXES):
            if pattern.matches(found.names):
                _validate_file(check, found)
            if check.truncated:
                break
    value: dict[str, Json] = {
        "path": root,
        "today": today.isoformat(),
        "files_checked": check.files,
        "violations": check.violations,
        "fixes_applied": check.fixes,
        "truncated": check.truncated,
        "skipped": walk.skipped,
        "skipped_more": walk.skipped_more,
    }
    return Output(value, truncated=check.truncated)


def _validate_file(check: _Check, found: Found) -> None:
    if not check.walk.granted(found.path):
        check.walk.skip(found.path, "outside what is granted")
        return
    try:
        text = _read(found)
    except (FileAccessError, UnicodeDecodeError) as error:
        reason = error.message if isinstance(error, FileAccessError) else "it is no UTF-8 text"
        check.walk.skip(found.path, reason)
        return
    if text is None:
        check.walk.skip(found.path, f"larger than {MAX_FILE_BYTES} bytes")
        return
    check.files += 1
    future = [one for one in _dates(check, found, text) if one is not None]
    if future and check.arguments.fix_violations and not check.truncated:
        _fix(check, found, text, future)


def _read(found: Found) -> str | None:
    if found.status.st_size > MAX_FILE_BYTES:
        return None
    descriptor = open_regular(found.parent, found.names[-1], found.path)
    try:
        data, size = read_bytes(descriptor, 0, MAX_FILE_BYTES)
    finally:
        os.close(descriptor)
    return data.decode() if size <= MAX_FILE_BYTES else None


def _dates(check: _Check, found: Found, text: str) -> Iterator[re.Match[str] | None]:
    """Report the wrong dates of a text; give back those that can be mended."""
    at, line = 0, 1
    for match in _DATE.finditer(text):
        parsed = _parsed(match)
        wrong = check.arguments.strict if parsed is None else parsed > check.today
        if not wrong:
            continue
        line += text.count("\n", at, match.start())
        at = match.start()
        check.add(found, line, match[0], parsed)
        yield None if parsed is None else match


def _form(match: re.Match[str]) -> str:
    return next(form for form in _FORMATS if match[f"y{form}"])


def _parsed(match: re.Match[str]) -> date | None:
    form = _form(match)
    try:
        return date(*[int(match[f"{part}{form}"]) for part in "ymd"])
    except ValueError:
        return None


def _fix(check: _Check, found: Found, text: str, future: list[re.Match[str]]) -> None:
    try:
        demand("write", found.path, check.context)
        for match in reversed(future):
            today = check.today.strftime(_FORMATS[_form(match)])
            text = text[: match.start()] + today + text[match.end() :]
        name, key = found.names[-1], check.context.idempotency_key
        replace_file(found.parent, name, found.path, text.encode(), key)
    except ToolError as error:
        check.walk.skip(found.path, printable(error.message))
    else:
        check.fixes += len(future)
