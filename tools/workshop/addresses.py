"""Where the repository names a package registry. It may do so nowhere, in no commit.

The hosts to look for are learned at run time: from the completed lock, from the environment and
from pip's configuration. The best known are spelled in pieces, since this file is searched too.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from workshop.shell import Failure, output

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

LOCKS = ("*uv.lock", "*package-lock.json", "*pylock*.toml", "*poetry.lock", "*yarn.lock")
"""Every lock file that some tool might bring in."""

WELL_KNOWN = frozenset(
    ".".join(parts)
    for parts in [
        ("py" + "pi", "org"),
        ("python" + "hosted", "org"),
        ("registry", "npm" + "js", "org"),
        ("registry", "yarn" + "pkg", "com"),
        ("deb", "debian", "org"),
    ]
)

_ADDRESS = re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s\"'<>]+", re.IGNORECASE)
_SETTING = re.compile(r"^(UV|PIP|NPM_CONFIG)_.*(INDEX|REGISTRY)", re.IGNORECASE)


def hosts_in(text: str) -> set[str]:
    """Return the host of every address in the text."""
    hosts = (urlsplit(address[0]).hostname for address in _ADDRESS.finditer(text))
    # A bare word is a machine of somebody's own network, and too often an ordinary word besides.
    return {host for host in hosts if host and "." in host and host != "127.0.0.1"}


def configured() -> set[str]:
    """Return the registry hosts that this machine's environment and pip settings name."""
    environment = (value for name, value in os.environ.items() if _SETTING.match(name))
    try:
        pip = output(["python3", "-m", "pip", "config", "list"])
    except Failure:  # no pip here, hence no settings of pip
        pip = ""
    return hosts_in("\n".join([*environment, pip]))


def findings(root: Path, *, hosts: Iterable[str]) -> list[str]:
    """Return what names a registry: `file:line: text` or `commit: what`."""
    names = sorted({*hosts, *configured(), *WELL_KNOWN})
    return [
        *_in_locks(root),
        *_in_tracked_files(root, names),
        *_in_history_of_locks(root),
        *_in_commit_messages(root, names),
    ]


def _in_locks(root: Path) -> Iterator[str]:
    for path in output(["git", "ls-files", "--", *LOCKS], cwd=root).splitlines():
        text = output(["git", "show", f":{path}"], cwd=root)
        for number, line in enumerate(text.splitlines(), start=1):
            if _ADDRESS.search(line):
                yield f"{path}:{number}: {line.strip()}"


def _in_tracked_files(root: Path, names: Iterable[str]) -> list[str]:
    patterns = [word for name in names for word in ("-e", name)]
    # A clean filter turns the work tree's lock into the tracked one; --cached reads the latter.
    argv = ["git", "grep", "--cached", "-I", "-i", "-n", "-F", *patterns]
    return _unless_nothing_found(argv, root)


def _in_history_of_locks(root: Path) -> Iterator[str]:
    log = ["git", "log", "--all", "-p", "--unified=0", "--no-textconv", "--format=commit %h"]
    commit = ""
    for line in output([*log, "--", *LOCKS], cwd=root).splitlines():
        if line.startswith("commit "):
            commit = line
        elif line.startswith("+") and _ADDRESS.search(line):
            yield f"{commit}: {line}"


def _in_commit_messages(root: Path, names: Iterable[str]) -> list[str]:
    patterns = [f"--grep={name}" for name in names]
    argv = ["git", "log", "--all", "-i", "-F", *patterns, "--format=commit %h: its message: %s"]
    return output(argv, cwd=root).splitlines()


def _unless_nothing_found(argv: list[str], root: Path) -> list[str]:
    try:
        return output(argv, cwd=root).splitlines()
    except Failure as failure:
        if "ended with status 1" in str(failure):  # how grep says "nothing"
            return []
        raise
