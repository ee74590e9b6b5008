"""TODO, FIXME, HACK and XXX, and since when they are there."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from repo_audit.facts import Facts, call, result
from toka.agent_runtime import StepFailed

if TYPE_CHECKING:
    from toka.agent_runtime import TaskContext

MAX_DATED_FILES: Final = 150
"""Files that git is asked about, one command each."""
MAX_DATED_LINES: Final = 200
"""Lines of one file that git is asked about."""
_MARK: Final = re.compile(r"\b(TODO|FIXME|HACK|XXX)\b")
_BLAMED: Final = re.compile(r"(\^?[0-9a-f]{7,64}) \d+ (\d+)(?: \d+)?")
_SHOWN_CHARACTERS: Final = 160


async def date(ctx: TaskContext) -> Facts:
    """Date every note that was found, and sort them, the oldest first."""
    found = result(ctx, "search", "found")
    root: str = found["path"]
    notes = [_note(root, match) for match in found["matches"]]
    git = await _git(ctx, root)
    dates: dict[tuple[str, int], str] = {}
    files = sorted({note["path"] for note in notes})
    if git["usable"]:
        for path in files[:MAX_DATED_FILES]:
            lines = [note["line"] for note in notes if note["path"] == path]
            for line, day in (await _blame(ctx, root, path, lines)).items():
                dates[path, line] = day
    for note in notes:
        note["since"] = dates.get((note["path"], note["line"]))
    notes.sort(key=lambda note: (note["since"] or "9999", note["path"], note["line"]))
    return {
        "debts": notes,
        "marks": dict(sorted(Counter(note["mark"] for note in notes).items())),
        "years": _years(notes),
        "files": len(files),
        "files_dated": min(len(files), MAX_DATED_FILES) if git["usable"] else 0,
        "git": git,
        "truncated": found["truncated"],
    }


def _note(root: str, match: Facts) -> Facts:
    mark = _MARK.search(match["text"])
    return {
        "path": match["path"][len(root.rstrip("/")) + 1 :],
        "line": match["line"],
        "mark": mark[1] if mark else "TODO",
        "text": " ".join(match["text"].split())[:_SHOWN_CHARACTERS],
    }


async def _git(ctx: TaskContext, root: str) -> Facts:
    """Say whether there is a history, and whether all of it is here."""
    asked = ["git", "rev-parse", "--is-inside-work-tree", "--is-shallow-repository"]
    try:
        answer = await call(ctx, "run_command", argv=asked, cwd=root, effect="read_only")
    except StepFailed as failure:
        return {"usable": False, "shallow": False, "reason": failure.message}
    words = answer["stdout"].split()
    if answer["exit_code"] != 0 or words[:1] != ["true"]:
        lines = answer["stderr"].strip().splitlines()
        reason = "no git repository" if "not a git repo" in answer["stderr"] else "".join(lines[:1])
        return {"usable": False, "shallow": False, "reason": reason or "no working tree"}
    return {"usable": True, "shallow": "true" in words[1:], "reason": ""}


async def _blame(ctx: TaskContext, root: str, path: str, lines: list[int]) -> dict[int, str]:
    """Return the day on which each line was last changed; not for what is not committed."""
    ranges = [option for line in lines[:MAX_DATED_LINES] for option in ("-L", f"{line},{line}")]
    asked = ["git", "blame", "--porcelain", *ranges, "--", path]
    try:
        answer = await call(ctx, "run_command", argv=asked, cwd=root, effect="read_only")
    except StepFailed:
        return {}
    return _days(answer["stdout"]) if answer["exit_code"] == 0 else {}


def _days(porcelain: str) -> dict[int, str]:
    lines: dict[str, list[int]] = defaultdict(list)
    times: dict[str, int] = {}
    commit = ""
    for row in porcelain.split("\n"):
        blamed = _BLAMED.fullmatch(row)
        if blamed:
            commit = blamed[1]
            lines[commit].append(int(blamed[2]))
        elif row.startswith("author-time "):
            times[commit] = int(row.removeprefix("author-time "))
    return {
        line: datetime.fromtimestamp(times[commit], UTC).date().isoformat()
        for commit, numbers in lines.items()
        for line in numbers
        # A commit of zeros is what is not committed yet; its time is now, and now is no fact.
        if commit in times and commit.strip("0")
    }


def _years(notes: list[Facts]) -> dict[str, int]:
    years = Counter(note["since"][:4] if note["since"] else "unknown" for note in notes)
    return dict(sorted(years.items()))
