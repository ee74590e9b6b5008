"""Files, lines and languages.

A step for each file would be slow and a log full of sources. A tree is listed in as few steps as
the size of an answer allows, and lines are counted by `grep` for a thousand files at a time.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from repo_audit.languages import language_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toka.agent_runtime import TaskContext

IGNORED: Final = [
    ".git",
    ".hg",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".svn",
    ".toka",
    ".tox",
    ".venv",
    "__pycache__",
    "node_modules",
]
LARGEST_COUNTED: Final = 64 * 1_048_576
"""Bytes of the largest file whose lines are counted."""
SHOWN: Final = 10
_BATCH_CHARACTERS: Final = 100_000
"""Of names on one command line; systems take 128 KiB at least."""
# Names of one directory in parts, for a directory whose listing is longer than one answer.
_PARTS: Final = (
    "[0-9]*",
    "[A-M]*",
    "[N-Z]*",
    "[a-e]*",
    "[f-m]*",
    "[n-s]*",
    "[t-z]*",
    "[!0-9A-Za-z]*",
)
_COUNT: Final = re.compile(r"([^\0]+)\0([0-9]+)\n")


async def count(ctx: TaskContext) -> dict[str, Any]:
    """List every file of the target and count lines by language."""
    tree = _Tree(ctx)
    await tree.list(str(ctx.inputs["target"]))
    files = {path: entry for path, entry in sorted(tree.entries.items()) if entry["type"] == "file"}
    counted = {
        path: language
        for path, entry in files.items()
        if (language := language_of(entry["name"])) and entry["size"] <= LARGEST_COUNTED
    }
    lines = await _count_lines(ctx, tree.root, [path for path in counted if "\n" not in path])
    return {
        "name": tree.root.rpartition("/")[2] or "/",
        "files": len(files),
        "directories": sum(entry["type"] == "directory" for entry in tree.entries.values()),
        "links": sum(entry["type"] == "link" for entry in tree.entries.values()),
        "bytes": sum(entry["size"] for entry in files.values()),
        "lines": sum(lines.values()),
        "languages": _languages(files, counted, lines),
        "other": _other(files, counted),
        "largest": _largest(files, lines),
        "not_counted": sorted(set(counted) - set(lines)),
        "skipped": tree.skipped,
        "truncated": tree.truncated,
    }


class _Tree:
    """Everything below a directory, by relative path."""

    def __init__(self, ctx: TaskContext) -> None:
        self._ctx = ctx
        self.root = ""
        self.entries: dict[str, dict[str, Any]] = {}
        self.skipped: list[dict[str, Any]] = []
        self.truncated = False

    async def list(self, path: str) -> None:
        """List a directory whole; if that is too much, itself and then what is below."""
        found = await self._listing(path, "**/*")
        self.root = self.root or found["path"]
        if not found["truncated"]:
            self._take(found)
            return
        for directory in await self._list_one(path):
            await self.list(directory)

    async def _list_one(self, path: str) -> list[str]:
        """List one directory without what is below, and return the directories in it."""
        found = await self._listing(path, "*")
        listings = [found]
        if found["truncated"]:
            listings = [await self._listing(path, part) for part in _PARTS]
        for listing in listings:
            self.truncated |= listing["truncated"]
            self._take(listing)
        return [
            entry["path"]
            for listing in listings
            for entry in listing["entries"]
            if entry["type"] == "directory"
        ]

    async def _listing(self, path: str, pattern: str) -> dict[str, Any]:
        return await self._ctx.tool(
            "list_files", path=path, pattern=pattern, hidden=True, ignore=IGNORED,
            max_entries=100_000,
        )  # fmt: skip

    def _take(self, listing: dict[str, Any]) -> None:
        start = len(self.root.rstrip("/")) + 1
        for entry in listing["entries"]:
            self.entries[entry["path"][start:]] = entry
        for skipped in listing["skipped"]:
            self.skipped.append({"path": skipped["path"][start:], "reason": skipped["reason"]})


async def _count_lines(ctx: TaskContext, root: str, paths: list[str]) -> dict[str, int]:
    """Return the number of lines of each file that is text; a binary one has none."""
    lines: dict[str, int] = {}
    for batch in _batches(paths):
        # -c counts lines and -I leaves binary files out; the last line counts without its end.
        result = await ctx.tool(
            "run_command",
            argv=["grep", "-cIH", "--null", "-e", "", "--", *[f"./{path}" for path in batch]],
            cwd=root,
            env={"LC_ALL": "C"},
            effect="read_only",
        )
        for path, number in _COUNT.findall(result["stdout"]):
            lines[path.removeprefix("./")] = int(number)
    return lines


def _batches(paths: list[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    room = _BATCH_CHARACTERS
    for path in paths:
        room -= len(path.encode()) + 3
        if batch and room < 0:
            yield batch
            batch, room = [], _BATCH_CHARACTERS
        batch.append(path)
    if batch:
        yield batch


def _languages(
    files: dict[str, dict[str, Any]], counted: dict[str, str], lines: dict[str, int]
) -> list[dict[str, Any]]:
    totals: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for path, language in counted.items():
        total = totals[language]
        total[0] += 1
        total[1] += lines.get(path, 0)
        total[2] += files[path]["size"]
    table = [
        {"language": language, "files": total[0], "lines": total[1], "bytes": total[2]}
        for language, total in totals.items()
    ]
    return sorted(table, key=lambda row: (-int(row["lines"]), str(row["language"])))


def _other(files: dict[str, dict[str, Any]], counted: dict[str, str]) -> dict[str, int]:
    sizes = [entry["size"] for path, entry in files.items() if path not in counted]
    return {"files": len(sizes), "bytes": sum(sizes)}


def _largest(files: dict[str, dict[str, Any]], lines: dict[str, int]) -> list[dict[str, Any]]:
    largest = sorted(files, key=lambda path: (-int(files[path]["size"]), path))[:SHOWN]
    return [
        {"path": path, "bytes": files[path]["size"], "lines": lines.get(path)} for path in largest
    ]
