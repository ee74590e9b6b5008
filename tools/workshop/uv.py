"""Finding uv: the project's own, in `.venv`, else the one on the path."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from workshop.shell import ROOT, Failure, output

VENV = ROOT / ".venv"
OLDEST = (0, 9)
"""The first uv that is known to complete a lock without addresses."""


def find() -> Path | None:
    """Return a uv that starts and is new enough, if there is one."""
    for name in (str(VENV / "bin" / "uv"), "uv"):
        if (path := shutil.which(name)) and _is_new_enough(path):
            return Path(path)
    return None


def path() -> Path:
    """Return the uv to use.

    Raises:
        Failure: there is none.
    """
    if uv := find():
        return uv
    raise Failure("there is no uv here that works; tools/dev set-up puts one into .venv")


def _is_new_enough(uv: str) -> bool:
    try:
        found = re.search(r"(\d+)\.(\d+)", output([uv, "--version"]))
    except Failure:  # a version manager's stand-in for a uv that is not there
        return False
    return found is not None and (int(found[1]), int(found[2])) >= OLDEST
