"""Running other programs: one place, always an argument list, never a shell."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).resolve().parents[2]
"""The project's top directory."""


class Failure(Exception):
    """A step failed; the message says what, where, and what to do."""


def say(text: str) -> None:
    """Print progress on standard error, so that standard output stays the command's own."""
    print(text, file=sys.stderr, flush=True)


def run(
    argv: Sequence[str | Path],
    *,
    cwd: Path = ROOT,
    env: Mapping[str, str] | None = None,
    quiet: bool = False,
) -> None:
    """Run a program with its output where ours goes, or held back and shown if it fails.

    Raises:
        Failure: the program is missing or its exit status is not 0.
    """
    _completed(argv, cwd, env, capture=quiet, merge=quiet)


def output(
    argv: Sequence[str | Path], *, cwd: Path = ROOT, env: Mapping[str, str] | None = None
) -> str:
    """Return what a program prints.

    Raises:
        Failure: the program is missing or its exit status is not 0.
    """
    return _completed(argv, cwd, env, capture=True, merge=False).stdout


def _completed(
    argv: Sequence[str | Path],
    cwd: Path,
    env: Mapping[str, str] | None,
    *,
    capture: bool,
    merge: bool,
) -> subprocess.CompletedProcess[str]:
    words = [str(word) for word in argv]
    try:
        done = subprocess.run(  # noqa: S603 - an argument list of our own making, no shell
            words,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            check=False,
            text=True,
            encoding="utf-8",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if capture else None,
            stderr=(subprocess.STDOUT if merge else subprocess.PIPE) if capture else None,
        )
    except FileNotFoundError as error:
        raise Failure(f"{words[0]} is not installed (wanted by: {shlex.join(words)})") from error
    if done.returncode:
        said = "".join(part for part in (done.stdout, done.stderr) if part).rstrip()
        raise Failure(f"{shlex.join(words)} ended with status {done.returncode}\n{said}".rstrip())
    return done
