"""Licences of dependencies, as far as what is installed beside the sources tells them.

Python: the metadata in `.venv` and `venv`. JavaScript: `node_modules`. Rust: `vendor`. Nothing is
looked up elsewhere, so a licence that is not found is unknown, and the report says so.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from repo_audit.facts import Facts, call
from repo_audit.manifests import normal_name

if TYPE_CHECKING:
    from toka.agent_runtime import TaskContext

Known = dict[str, dict[str, str]]
"""By `ecosystem name`: `licence` and `version`, each only where known."""

_LONGEST: Final = 60
"""Characters of a licence's name; what is longer is the licence's text."""
_CLASSIFIERS: Final = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",
    "GNU General Public License v3 (GPLv3)": "GPL-3.0-only",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
}
_METADATA: Final = "^(?:Name: |Version: |License: |License-Expression: |Classifier: License :: )"
_JSON_FIELD: Final = re.compile(r'"(name|version|license)"\s*:\s*"([^"]{1,60})"')
_TOML_FIELD: Final = re.compile(r'(name|version|license)\s*=\s*"([^"]{1,60})"')


async def installed(ctx: TaskContext, root: str, folders: list[str]) -> Known:
    """Return what is known of installed packages, looking beside each manifest.

    Args:
        ctx: The task.
        root: The directory that is audited.
        folders: Absolute directories that hold manifests; `root` is looked into in any case.
    """
    known: Known = {}
    for folder in sorted({root, *folders}):
        listing = await call(
            ctx, "list_files", path=folder, pattern="*", types=["directory"], hidden=True, ignore=[]
        )
        names = {entry["name"] for entry in listing["entries"]}
        for name in sorted(names & {".venv", "venv"}):
            pattern = "lib/*/site-packages/*.dist-info/METADATA"
            _python(known, await _search(ctx, f"{folder}/{name}", pattern, _METADATA))
        if "node_modules" in names:
            for pattern in ("*/package.json", "@*/*/package.json"):
                expression = r'^\s*"(?:name|version|license)"\s*:'
                matches = await _search(ctx, f"{folder}/node_modules", pattern, expression)
                _fields(known, matches, "JavaScript", _JSON_FIELD)
        if "vendor" in names:
            expression = r"^(?:name|version|license)\s*="
            matches = await _search(ctx, f"{folder}/vendor", "*/Cargo.toml", expression)
            _fields(known, matches, "Rust", _TOML_FIELD)
    return known


async def _search(
    ctx: TaskContext, path: str, pattern: str, expression: str
) -> dict[str, list[str]]:
    """Return the lines that match, by file."""
    found = await call(
        ctx, "search_files", path=path, pattern=pattern, regex=expression, hidden=True, ignore=[],
        max_matches=100_000,
    )  # fmt: skip
    lines: dict[str, list[str]] = {}
    for match in found["matches"]:
        lines.setdefault(match["path"], []).append(match["text"])
    return lines


def _python(known: Known, files: dict[str, list[str]]) -> None:
    for lines in files.values():
        fields: dict[str, str] = {}
        for line in lines:
            name, _, value = line.partition(": ")
            if name == "Classifier":
                last = value.rpartition(" :: ")[2]
                if last != "OSI Approved":
                    fields.setdefault(name, _CLASSIFIERS.get(last, last))
            elif value.strip() and value.strip() != "UNKNOWN" and len(value) <= _LONGEST:
                fields.setdefault(name, value.strip())
        keys = ("License-Expression", "Classifier", "License")
        licence = next((fields[key] for key in keys if key in fields), "")
        _add(known, "Python", fields.get("Name", ""), fields.get("Version", ""), licence)


def _fields(
    known: Known, files: dict[str, list[str]], ecosystem: str, pattern: re.Pattern[str]
) -> None:
    for lines in files.values():
        fields: dict[str, str] = {}
        for line in lines:
            match = pattern.search(line)
            if match:
                fields.setdefault(match[1], match[2])
        name, version = fields.get("name", ""), fields.get("version", "")
        _add(known, ecosystem, name, version, fields.get("license", ""))


def _add(known: Known, ecosystem: str, name: str, version: str, licence: str) -> None:
    if name:
        fields = {"version": version, "licence": licence}
        entry = {key: value for key, value in fields.items() if value}
        known.setdefault(f"{ecosystem} {normal_name(ecosystem, name)}", entry)


def of_projects(projects: list[Facts]) -> Known:
    """Return what the audited projects say of themselves: they may depend on each other."""
    known: Known = {}
    for project in projects:
        version, licence = project["version"] or "", project["licence"] or ""
        _add(known, project["ecosystem"], project["name"] or "", version, licence)
    return known
