"""Finding uv: the project's own, in `.venv`, else the one on the path."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from workshop.shell import ROOT, Failure, output

VENV = ROOT / ".venv"
OLDEST = (0, 9)
"""The first uv that is known to complete a lock without addresses."""


def find() -> Path | None:
    """Return a uv that starts and is new enough, if there is one."""
    return _usable(str(VENV / "bin" / "uv")) or on_path()


def on_path() -> Path | None:
    """Return such a uv outside the project."""
    outside = [it for it in os.environ.get("PATH", "").split(os.pathsep) if it != str(VENV / "bin")]
    return _usable("uv", os.pathsep.join(outside))


def path() -> Path:
    """Return the uv to use.

    Raises:
        Failure: there is none.
    """
    if uv := find():
        return uv
    raise Failure("there is no uv here that works; tools/dev set-up puts one into .venv")


def _usable(name: str, search: str | None = None) -> Path | None:
    program = shutil.which(name, path=search)
    if program is None:
        return None
    try:
        found = re.search(r"(\d+)\.(\d+)", output([program, "--version"]))
    except Failure:  # a version manager's stand-in for a uv that is not there
        return None
    new_enough = found is not None and (int(found[1]), int(found[2])) >= OLDEST
    return Path(program) if new_enough else None
