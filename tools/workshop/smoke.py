"""Each built wheel, installed alone into an empty environment, must work with what it declares.

Sisters come from the folder of wheels, by file: a public registry is never asked for their names.
Everything else comes in the locked version, so that the answer does not change overnight.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from workshop import uv
from workshop.members import read_members
from workshop.shell import ROOT, Failure, run, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workshop.members import Member

USAGE = "usage: tools/smoke FOLDER [MEMBER...]   try each wheel alone; FOLDER holds all of them"

PROBE = Path(__file__).with_name("probe.py")


def main(arguments: Sequence[str]) -> int:
    """Try every wheel; the exit status is 0, 1 (one does not work alone) or 2 (wrong use)."""
    if not arguments or arguments[0].startswith("-"):
        say(USAGE)
        return 2
    folder, chosen = Path(arguments[0]).resolve(), set(arguments[1:])
    members = read_members()
    with tempfile.TemporaryDirectory(prefix="smoke-") as scratch:
        constraints = Path(scratch, "constraints.txt")
        constraints.write_text("\n".join([*sisters(folder, members), *locked()]) + "\n", "utf-8")
        subjects = [member for member in members if not chosen or member.name in chosen]
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            jobs = [pool.submit(attempt, member, folder, constraints) for member in subjects]
            failures = [job.result() for job in jobs]
    if found := [text for text in failures if text]:
        raise Failure("\n".join(found))
    return 0


def attempt(member: Member, folder: Path, constraints: Path) -> str:
    """Try one wheel; return what went wrong, or an empty string."""
    began = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix=f"smoke-{member.name}-") as scratch:
            try_alone(member, wheel_of(member, folder), constraints, Path(scratch))
    except Failure as failure:
        say(f"smoke: {member.name} FAILED")
        return f"{member.name}: {failure}"
    say(f"smoke: {member.name} works alone ({time.monotonic() - began:.1f} s)")
    return ""


def try_alone(member: Member, wheel: Path, constraints: Path, scratch: Path) -> None:
    """Install a wheel with what it declares, and import it.

    Raises:
        Failure: a step fails.
    """
    program = uv.path()
    python = scratch / "bin" / "python"
    run([program, "venv", "--quiet", "--clear", "--python", sys.executable, scratch], quiet=True)
    into = ["--quiet", "--python", python]
    run(
        [program, "pip", "install", *into, "--constraints", constraints, wheel],
        cwd=scratch,
        quiet=True,
    )
    run([program, "pip", "check", *into], cwd=scratch, quiet=True)
    words = [member.name, member.import_name, member.version]
    run([python, "-I", "-W", "error", PROBE, *words], cwd=scratch, quiet=True)


def wheel_of(member: Member, folder: Path) -> Path:
    """Return the one wheel of a member.

    Raises:
        Failure: it has not been built.
    """
    path = folder / f"{member.wheel_stem}-py3-none-any.whl"
    if not path.is_file():
        raise Failure(f"{path} is missing; build it with uv build --all-packages --wheel")
    return path


def sisters(folder: Path, members: Sequence[Member]) -> list[str]:
    """Return constraints that nail every member's name to its wheel."""
    return [f"{member.name} @ {wheel_of(member, folder).as_uri()}" for member in members]


def locked(root: Path = ROOT) -> list[str]:
    """Return constraints that nail everybody else to the locked version."""
    lock = tomllib.loads((root / "uv.lock").read_text("utf-8"))
    found: dict[str, set[str]] = {}
    for package in lock["package"]:
        if "registry" in package["source"]:
            found.setdefault(package["name"], set()).add(package["version"])
    # Two versions of one package stand for two kinds of machine; the resolver may choose.
    return [f"{name}=={min(them)}" for name, them in sorted(found.items()) if len(them) == 1]
