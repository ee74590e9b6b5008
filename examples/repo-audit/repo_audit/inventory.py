"""Files, lines and languages.

A step for each file would be slow and a log full of sources. A tree is listed in as few steps as
the size of an answer allows, and lines are counted by `grep` for a thousand files at a time.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from repo_audit.facts import Facts, call
from repo_audit.languages import language_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toka.agent_runtime import TaskContext

IGNORED: Final = [
    ".*_cache",
    ".cache",
    ".eggs",
    ".git",
    ".gradle",
    ".hg",
    ".hypothesis",
    ".nox",
    ".svn",
    ".terraform",
    ".toka",
    ".tox",
    ".venv*",
    "__pycache__",
    "node_modules",
    "venv",
]
"""What tools make and people do not write."""
LARGEST_COUNTED: Final = 64 * 1_048_576
"""Bytes of the largest file whose lines are counted."""
SHOWN: Final = 10
_BATCH_CHARACTERS: Final = 100_000
"""Of names on one command line; systems take 128 KiB at least."""
_SPECIAL: Final = frozenset("!-[]^\\")
"""Characters that mean something at the beginning of a class of characters."""
_COUNT: Final = re.compile(r"([^\0]+)\0([0-9]+)\n")


async def count(ctx: TaskContext) -> Facts:
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
        "counted": len(lines),
        "not_counted": sorted(set(counted) - set(lines)),
        "skipped": tree.skipped,
    }


class _Tree:
    """Everything below a directory, by relative path."""

    def __init__(self, ctx: TaskContext) -> None:
        self._ctx = ctx
        self.root = ""
        self.entries: dict[str, Facts] = {}
        self.skipped: list[Facts] = []

    async def list(self, path: str) -> None:
        """List a directory whole; if that is too much, itself and then what is below."""
        found = await self._listing(path, "**/*")
        self.root = self.root or found["path"]
        if not found["truncated"]:
            self._take(found)
            return
        for directory in await self._list_one(path):
            await self.list(directory)

    async def _list_one(self, path: str, pattern: str = "*", fixed: int = 0) -> list[str]:
        """List names of one directory without what is below, and return its directories.

        Args:
            path: The directory.
            pattern: Which names.
            fixed: How many characters at the beginning of these names are all alike.
        """
        found = await self._listing(path, pattern)
        self._take(found)
        directories = [each["path"] for each in found["entries"] if each["type"] == "directory"]
        if found["truncated"] and found["entries"]:
            for following, length in _after(found["entries"][-1]["name"], fixed):
                directories += await self._list_one(path, following, length)
        return directories

    async def _listing(self, path: str, pattern: str) -> Facts:
        return await call(
            self._ctx,
            "list_files", path=path, pattern=pattern, hidden=True, ignore=IGNORED,
            max_entries=100_000,
        )  # fmt: skip

    def _take(self, listing: Facts) -> None:
        start = len(self.root.rstrip("/")) + 1
        for entry in listing["entries"]:
            self.entries[entry["path"][start:]] = entry
        for skipped in listing["skipped"]:
            self.skipped.append({"path": skipped["path"][start:], "reason": skipped["reason"]})


def _after(name: str, fixed: int) -> Iterator[tuple[str, int]]:
    """Yield patterns of all names that sort after `name`, with the length of what they begin with.

    They begin with all of `name` or a part of it, the longest first, and then go on higher.
    """
    yield f"{_literal(name)}?*", len(name)
    for length in range(len(name) - 1, fixed - 1, -1):
        start = _literal(name[:length])
        code = ord(name[length]) + 1
        while chr(code) in _SPECIAL:
            yield f"{start}{_literal(chr(code))}*", length + 1
            code += 1
        yield f"{start}[{chr(code)}-\U0010ffff]*", length


def _literal(text: str) -> str:
    return re.sub(r"([*?\[])", r"[\1]", text)


async def _count_lines(ctx: TaskContext, root: str, paths: list[str]) -> dict[str, int]:
    """Return the number of lines of each file that is text; a binary one has none."""
    lines: dict[str, int] = {}
    for batch in _batches(paths):
        # -c counts lines and -I leaves binary files out; the last line counts without its end.
        result = await call(
            ctx,
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
    files: dict[str, Facts], counted: dict[str, str], lines: dict[str, int]
) -> list[Facts]:
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


def _other(files: dict[str, Facts], counted: dict[str, str]) -> dict[str, int]:
    sizes = [entry["size"] for path, entry in files.items() if path not in counted]
    return {"files": len(sizes), "bytes": sum(sizes)}


def _largest(files: dict[str, Facts], lines: dict[str, int]) -> list[Facts]:
    largest = sorted(files, key=lambda path: (-int(files[path]["size"]), path))[:SHOWN]
    return [
        {"path": path, "bytes": files[path]["size"], "lines": lines.get(path)} for path in largest
    ]
