"""The report: the same findings for people and for programs. The same input, the same bytes."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from repo_audit.facts import Facts, result

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from toka.agent_runtime import TaskContext

SHOWN: Final = 50
"""Rows of a table in the report for people; the other report has all."""
UNKNOWN: Final = "**unknown**"
_KIBIBYTE: Final = 1_024
_SPECIAL: Final = re.compile(r"([\\`*_\[\]<>|~])")


async def compose(ctx: TaskContext) -> dict[str, str]:
    """Put the findings of the three other agents into two texts."""
    inventory = result(ctx, "inventory", "count")
    dependencies = result(ctx, "dependencies", "read")
    debts = result(ctx, "debts", "date")
    findings = {"inventory": inventory, "dependencies": dependencies, "debts": debts}
    parts = [
        [f"# Audit of {_plain(inventory['name'])}"],
        _summary(inventory, dependencies, debts),
        _inventory(inventory),
        _dependencies(dependencies),
        _debts(debts),
        _limits(inventory, dependencies, debts),
    ]
    return {
        "markdown": "\n\n".join(["\n".join(part) for part in parts if part]) + "\n",
        "json": json.dumps(findings, indent=2, sort_keys=True, ensure_ascii=False) + "\n",
    }


def _summary(inventory: Facts, dependencies: Facts, debts: Facts) -> list[str]:
    languages = [row["language"] for row in inventory["languages"][:3] if row["lines"]]
    mostly = f", mostly {_and(languages)}" if languages else ""
    total, unknown = len(dependencies["dependencies"]), dependencies["unknown_licences"]
    dated = [note["since"] for note in debts["debts"] if note["since"]]
    oldest = f", the oldest since {dated[0]}" if dated else ""
    files, lines = _count(inventory["files"], "file"), _count(inventory["lines"], "line")
    named = _count(total, "dependency", "dependencies")
    manifests = _count(len(dependencies["manifests"]), "manifest")
    notes, places = _count(len(debts["debts"]), "note"), _count(debts["files"], "file")
    return [
        f"- **{files}** with {lines} ({_size(inventory['bytes'])}){mostly}",
        f"- **{named}** named in {manifests}; {_count(unknown, 'licence')} unknown",
        f"- **{notes}** of work put off in {places}{oldest}",
    ]


def _inventory(found: Facts) -> list[str]:
    rows = [
        [row["language"], f"{row['files']:,}", f"{row['lines']:,}", _size(row["bytes"])]
        for row in found["languages"]
    ]
    other = found["other"]
    if other["files"]:
        rows.append(["*other*", f"{other['files']:,}", "", _size(other["bytes"])])
    if not rows:
        return ["## Languages", "", "There are no files."]
    largest = [
        [
            _code(row["path"]),
            _size(row["bytes"]),
            "" if row["lines"] is None else f"{row['lines']:,}",
        ]
        for row in found["largest"]
    ]
    return [
        "## Languages",
        "",
        *_table(["Language", "Files", "Lines", "Size"], rows, "lrrr"),
        "",
        "### Largest files",
        "",
        *_table(["File", "Size", "Lines"], largest, "lrr"),
    ]


def _dependencies(found: Facts) -> list[str]:
    lines = ["## Dependencies", ""]
    if not found["found"]:
        return [*lines, "There is no manifest that is understood."]
    projects = [
        [_code(row["path"]), _plain(row["name"] or ""), _plain(row["version"] or ""),
         _plain(row["licence"] or "") or UNKNOWN, f"{row['count']:,}"]
        for row in found["manifests"]
    ]  # fmt: skip
    titles = ["Manifest", "Project", "Version", "Licence", "Dependencies"]
    lines += _table(titles, projects[:SHOWN], "llllr")
    lines += _more(len(projects), "manifests")
    if found["dependencies"]:
        lines += ["", "### Named", "", *_named(found["dependencies"])]
    if found["faults"]:
        faults = [[_code(row["path"]), _plain(row["reason"])] for row in found["faults"]]
        lines += ["", "### Not readable", "", *_table(["Manifest", "Reason"], faults[:SHOWN], "ll")]
        lines += _more(len(faults), "manifests")
    return lines


def _named(dependencies: list[Facts]) -> list[str]:
    # Unknown licences first: they are what somebody has to look at.
    ordered = sorted(dependencies, key=lambda row: row["licence"] is not None)
    rows = [
        [
            _plain(row["name"]),
            row["ecosystem"],
            _code(", ".join(row["requirements"])),
            _plain(row["installed"] or ""),
            _plain(row["licence"] or "") or UNKNOWN,
            ", ".join(row["scopes"]),
        ]
        for row in ordered
    ]
    titles = ["Dependency", "Ecosystem", "Required", "Installed", "Licence", "For"]
    return [*_table(titles, rows[: 2 * SHOWN], "llllll"), *_more(len(rows), "dependencies", 2)]


def _debts(found: Facts) -> list[str]:
    lines = ["## Work put off", ""]
    if not found["debts"]:
        return [*lines, "There is no TODO, FIXME, HACK or XXX."]
    marks = _and([f"{count:,} {mark}" for mark, count in found["marks"].items()])
    years = ", ".join([f"{year}: {count:,}" for year, count in found["years"].items()])
    rows = [
        [note["since"] or "unknown", _code(f"{note['path']}:{note['line']}"), _code(note["text"])]
        for note in found["debts"]
    ]
    return [
        *lines,
        f"{marks}. By year of the last change: {years}.",
        "",
        *_table(["Since", "Where", "What"], rows[:SHOWN], "lll"),
        *_more(len(rows), "notes"),
    ]


def _limits(inventory: Facts, dependencies: Facts, debts: Facts) -> list[str]:
    """Say what this report does not know."""
    git = debts["git"]
    facts = [
        (inventory["skipped"], f"{len(inventory['skipped']):,} entries could not be listed."),
        (
            inventory["not_counted"],
            f"The lines of {len(inventory['not_counted']):,} files could not be counted.",
        ),
        (dependencies["truncated"], "The search for manifests was cut short."),
        (
            dependencies["unknown_licences"],
            "A licence is unknown where nothing installed beside the sources tells it.",
        ),
        (debts["truncated"], "The search for notes was cut short."),
        (
            debts["debts"] and not git["usable"],
            f"Notes have no date: {_plain(git['reason']).rstrip('.')}.",
        ),
        (git["shallow"], "The history is shallow: dates before its start are that of its start."),
        (
            git["usable"] and debts["files_dated"] < debts["files"],
            f"Notes of {debts['files_dated']:,} of {debts['files']:,} files were dated.",
        ),
    ]
    told = [f"- {text}" for holds, text in facts if holds]
    return ["## What this report does not know", "", *told] if told else []


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]], alignment: str) -> list[str]:
    rule = ["---:" if mark == "r" else "---" for mark in alignment]
    return [f"| {' | '.join(row)} |" for row in (titles, rule, *rows)]


def _more(count: int, what: str, pages: int = 1) -> list[str]:
    left = count - SHOWN * pages
    return ["", f"{left:,} more {what} are in report.json."] if left > 0 else []


def _plain(text: str) -> str:
    """Return text that Markdown shows as it is, in one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _code(text: str) -> str:
    """Return text as code in a cell of a table."""
    text = "".join([char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text])
    fence = "`"
    while fence in text:
        fence += "`"
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{space}{text}{space}{fence}".replace("|", "\\|")


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def _and(words: Sequence[str]) -> str:
    return " and ".join([part for part in (", ".join(words[:-1]), *words[-1:]) if part])


def _size(number: int) -> str:
    size = float(number)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < _KIBIBYTE:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= _KIBIBYTE
    return f"{size:.1f} TiB"
