"""The two commands of the README. Each does all the set-up it needs, then becomes the real program.

Set-up is done every time: uv itself knows whether anything changed, and says so in a tenth of a
second. It needs CPython, pip, venv and git, and no uv: a missing one is put into `.venv`, since a
system's Python may refuse to install anything.
"""

from __future__ import annotations

import configparser
import os
import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from workshop import lock
from workshop.shell import ROOT, Failure, output, run, say

if TYPE_CHECKING:
    from collections.abc import Sequence

USAGE = """\
usage: tools/dev run [ARGUMENT...]    set up, then `toka run ARGUMENT...` (examples/repo-audit)
       tools/dev test [ARGUMENT...]   set up, then `pytest ARGUMENT...` (every test there is)
       tools/dev set-up               set up only\
"""
OLDEST_UV = (0, 9)

VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"


def main(arguments: Sequence[str]) -> int:
    """Run one verb; `run` and `test` end with the exit status of what they run."""
    match list(arguments):
        case ["run", *more]:
            become("toka", ["run", *(more or ["examples/repo-audit"])])
        case ["test", *more]:
            become("pytest", more)
        case ["set-up"]:
            set_up()
        case _:
            say(USAGE)
            return 2
    return 0


def become(program: str, arguments: Sequence[str]) -> None:
    """Set up, then replace this process, so that signals and the exit status are the program's.

    Raises:
        Failure: a step of the set-up failed.
    """
    set_up()
    path = str(VENV / "bin" / program)
    os.execv(path, [path, *arguments])  # noqa: S606 - no shell is the point


def set_up() -> None:
    """Make the project's environment what the lock says; quick when it is already.

    Raises:
        Failure: a step failed.
    """
    os.chdir(ROOT)
    settings = {**tool_settings(), "UV_PROJECT_ENVIRONMENT": str(VENV)}
    os.environ.pop("VIRTUAL_ENV", None)  # another project's, active in this terminal
    os.environ.update(settings)
    fresh = not PYTHON.exists()
    uv = ready_uv()
    os.environ["PATH"] = os.pathsep.join([str(uv.parent), os.environ.get("PATH", "")])
    keep_lock_neutral_in_git()
    if fresh:
        say("set-up: installing what uv.lock names")
    lock.complete()
    run([uv, "sync", "--all-packages", "--locked", "--python", PYTHON], quiet=not fresh)


def ready_uv() -> Path:
    """Return a uv that works, and make sure that `.venv` does.

    Raises:
        Failure: the environment or uv cannot be installed.
    """
    uv = find_uv()
    works = is_usable(PYTHON)
    if uv and not works:
        say(f"set-up: making .venv with {uv}")
        run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, VENV])
    elif not uv:
        say(f"set-up: making .venv with {sys.executable}, and putting uv into it")
        run([sys.executable, "-m", "venv", "--clear", VENV], quiet=True)
        run([PYTHON, "-m", "pip", "install", "--quiet", "uv"], quiet=True)
        uv = VENV / "bin" / "uv"
    return uv


def find_uv() -> Path | None:
    """Return a uv that starts and is new enough: the project's own, else the one on the path."""
    for name in (str(VENV / "bin" / "uv"), "uv"):
        if (path := shutil.which(name)) and is_new_enough(path):
            return Path(path)
    return None


def is_new_enough(uv: str) -> bool:
    """Tell whether uv starts (a version manager's stand-in may not) and has what the lock needs."""
    try:
        found = re.search(r"(\d+)\.(\d+)", output([uv, "--version"]))
    except Failure:
        return False
    return found is not None and (int(found[1]), int(found[2])) >= OLDEST_UV


def is_usable(python: Path) -> bool:
    """Tell whether an interpreter starts and is recent enough."""
    try:
        output([python, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"])
    except Failure:
        return False
    return True


def keep_lock_neutral_in_git() -> None:
    """Switch on the clean filter that `.gitattributes` names, for this clone.

    Raises:
        Failure: git refuses.
    """
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        return  # an unpacked archive: nothing can be committed from it
    program = f"{shlex.quote(str(Path(sys.executable)))} tools/lock neutral"
    wanted = {"filter.uv-lock.clean": program, "filter.uv-lock.required": "true"}
    for key, value in wanted.items():
        run(["git", "config", key, value], quiet=True)


def tool_settings() -> dict[str, str]:
    """Return settings for uv that only pip has: a registry of one's own, and whom to trust.

    They go into the environment and nowhere else; a file of the project must not name a registry.
    """
    settings: dict[str, str] = {}
    if not any(name.startswith(("UV_INDEX", "UV_DEFAULT_INDEX")) for name in os.environ):
        settings["UV_DEFAULT_INDEX"] = of_pip("index-url")
    if "SSL_CERT_FILE" not in os.environ:
        settings["SSL_CERT_FILE"] = of_pip("cert")
    return {name: value for name, value in settings.items() if value}


def of_pip(setting: str) -> str:
    """Return a setting of pip, from the environment or its files, or an empty string."""
    home = Path.home()
    files = [
        Path("/etc/pip.conf"),
        home / ".pip" / "pip.conf",
        home / ".config" / "pip" / "pip.conf",
        Path(os.environ.get("PIP_CONFIG_FILE", "/nonexistent")),
    ]
    parser = configparser.RawConfigParser(strict=False)
    parser.read(files, "utf-8")
    from_files = parser.get("global", setting, fallback="")
    return os.environ.get(f"PIP_{setting.replace('-', '_').upper()}", from_files)
