"""The lock without addresses.

uv writes into `uv.lock` which registry served each file. That is a fact about one machine, not
about the project, so the committed lock is *neutral*: every version and every hash, no address. uv
takes such a lock because its first `requires-python` line differs from the project's: it resolves
again, with every locked version as its preference, and writes the complete lock.

Sizes and upload times go too. Registries serve them or not as they like, and a neutral lock must
come out the same wherever it is made.

A registry may serve more files for a version today than when the lock was made (a wheel for a newer
Python, say). `complete` leaves those out: what was not reviewed is not used. A file that has the
same name and another hash is refused.
"""

from __future__ import annotations

import re
import shlex
import shutil
import sys
import tomllib
from difflib import unified_diff
from itertools import islice
from typing import TYPE_CHECKING, TypeAlias

from workshop import addresses, uv
from workshop.shell import ROOT, Failure, output, run, say

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

NAME = "uv.lock"
USAGE = """\
usage: tools/lock make [UV LOCK ARGUMENT...]   resolve, then write the neutral uv.lock
       tools/lock complete                     let uv complete uv.lock in the work tree
       tools/lock neutral                      turn a lock on standard input into a neutral one
       tools/lock check                        prove that what is committed names no registry
                                               and that completing it gives the same versions
                                               and hashes\
"""

FILTER = {
    "filter.uv-lock.clean": f"{shlex.quote(sys.executable)} tools/lock neutral",
    # Required, or git would take the file as it is if the program could not be run; and then git
    # insists on the other direction, too, before it checks out another lock.
    "filter.uv-lock.smudge": "cat",
    "filter.uv-lock.required": "true",
}

Files: TypeAlias = dict[tuple[str, str], dict[str, str]]
"""For each package and version: the hash of each of its files."""

_REGISTRY = re.compile(r'(?<=registry = ")[^"]*')
_FILE = re.compile(r'url = "[^"]*/(?P<name>[^"/#]+)(#[^"]*)?"')
_INCIDENTAL = re.compile(r', (size = \d+|upload-time = "[^"]*")')
_PYTHON = re.compile(r'^requires-python = "[^"]*"$', re.MULTILINE)
_ENTRY = re.compile(r'(?:url|path) = "(?:[^"]*/)?(?P<name>[^"/]+)", hash = "(?P<hash>[^"]+)"')
_HEAD = re.compile(r'^(?P<key>name|version) = "(?P<value>[^"]+)"')


def neutral(lock: str) -> str:
    """Return the lock without addresses; a neutral lock comes back as it is."""
    text = _REGISTRY.sub("index", lock)
    text = _FILE.sub(r'path = "\g<name>"', text)
    text = _INCIDENTAL.sub("", text)
    return _PYTHON.sub('requires-python = ">=3"', text, count=1)


def prune(completed: str, reviewed: str) -> str:
    """Return the completed lock without the files that the reviewed lock does not hold.

    Raises:
        Failure: a file has another hash than the reviewed one.
    """
    known = _files(reviewed)
    return "".join(
        line
        for line, package, entry in _lines(completed)
        if entry is None or _was_reviewed(entry, known.get(package))
    )


def complete(root: Path = ROOT) -> None:
    """Complete `uv.lock` in the work tree, keeping to the reviewed files.

    Raises:
        Failure: uv cannot resolve, or the registry serves a reviewed file with another hash.
    """
    path = root / NAME
    reviewed = path.read_text("utf-8") if path.exists() else ""
    run([uv.path(), "lock"], cwd=root, quiet=True)
    completed = path.read_text("utf-8")
    kept = reviewed  # what is refused must not stay, or the next run would take it for reviewed
    try:
        kept = prune(completed, reviewed)
    finally:
        if kept != completed:
            path.write_text(kept, "utf-8")
    settle_in_git(root)


def settle_in_git(root: Path = ROOT) -> None:
    """Let git see the neutral form: switch the clean filter on, and have it look again.

    git takes a file of another size for a changed one, without asking the filter, until it is
    added. A lock that really has changed is left to its author to add.

    Raises:
        Failure: git refuses.
    """
    if not (root / ".git").exists() or not shutil.which("git"):
        return  # an unpacked archive: nothing can be committed from it
    for key, value in FILTER.items():
        if output(["git", "config", "--default", "", "--get", key], cwd=root).strip() != value:
            run(["git", "config", key, value], cwd=root, quiet=True)
    if output(["git", "status", "--porcelain", "--", NAME], cwd=root).startswith(" M"):
        committed = output(["git", "show", f":{NAME}"], cwd=root)
        if committed == neutral((root / NAME).read_text("utf-8")):
            run(["git", "add", "--", NAME], cwd=root, quiet=True)


def make(root: Path, arguments: Sequence[str]) -> None:
    """Resolve, and leave the neutral lock in the work tree.

    Raises:
        Failure: uv cannot resolve.
    """
    run([uv.path(), "lock", *arguments], cwd=root)
    path = root / NAME
    path.write_text(neutral(path.read_text("utf-8")), "utf-8")


def check(root: Path = ROOT) -> None:
    """Prove that the repository names no registry and that the committed lock is the whole truth.

    Raises:
        Failure: it does name one, or the completed lock says something else than the committed one.
    """
    committed = output(["git", "show", f":{NAME}"], cwd=root)
    complete(root)
    completed = (root / NAME).read_text("utf-8")
    found = addresses.findings(root, hosts=addresses.hosts_in(completed))
    if found:
        raise Failure("a registry is named where none may be:\n  " + "\n  ".join(found))
    _require_same(committed, neutral(completed))


def main(arguments: Sequence[str]) -> int:
    """Run one verb; the exit status is 0, 1 (refused) or 2 (wrong use)."""
    match list(arguments):
        case ["neutral"]:
            sys.stdout.write(neutral(sys.stdin.read()))
        case ["complete"]:
            complete()
        case ["make", *more]:
            make(ROOT, more)
        case ["check"]:
            check()
            say("lock: no registry is named, and the registry serves what is locked")
        case _:
            say(USAGE)
            return 2
    return 0


def _require_same(committed: str, completed: str) -> None:
    changes = unified_diff(
        committed.splitlines(), completed.splitlines(), "committed", "completed", lineterm="", n=1
    )
    shown = "\n".join(islice(changes, 40))
    if shown:
        raise Failure(
            f"the committed {NAME} is not what uv makes of it here; "
            f"if dependencies changed, run tools/lock make and commit\n{shown}"
        )


def _files(lock: str) -> Files:
    return {
        (package["name"], package["version"]): {
            re.split(r"[/#]", file.get("url") or file["path"])[-1]: file["hash"]
            for file in [*package.get("wheels", []), *filter(None, [package.get("sdist")])]
        }
        for package in tomllib.loads(lock).get("package", [])
        if "registry" in package["source"]
    }


def _lines(lock: str) -> Iterator[tuple[str, tuple[str, str], re.Match[str] | None]]:
    """Yield each line with the package it belongs to and, if it tells of a file, that entry."""
    head = {"name": "", "version": ""}
    for line in lock.splitlines(keepends=True):
        if found := _HEAD.match(line):
            head[found["key"]] = found["value"]
        yield line, (head["name"], head["version"]), _ENTRY.search(line)


def _was_reviewed(entry: re.Match[str], reviewed: dict[str, str] | None) -> bool:
    if reviewed is None:  # a package or version that nobody has locked yet
        return True
    expected = reviewed.get(entry["name"])
    if expected not in (None, entry["hash"]):
        raise Failure(
            f"the registry serves {entry['name']} with hash {entry['hash']}, locked is {expected}; "
            "do not install from it before you know why"
        )
    return expected is not None
