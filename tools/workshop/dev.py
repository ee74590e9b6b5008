"""The two commands of the README. Each does all the set-up it needs, then becomes the real program.

Set-up is done every time: uv itself knows whether anything changed, and says so in a tenth of a
second. It needs CPython, pip, venv and git, and no uv: a missing one is put into `.venv`, since a
system's Python may refuse to install anything.
"""

from __future__ import annotations

import configparser
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from workshop import lock, uv
from workshop.shell import ROOT, Failure, output, run, say
from workshop.uv import VENV

if TYPE_CHECKING:
    from collections.abc import Sequence

USAGE = """\
usage: tools/dev run [ARGUMENT...]    set up, then `toka run ARGUMENT...` (examples/repo-audit)
       tools/dev test [ARGUMENT...]   set up, then `pytest ARGUMENT...` (every test there is)
       tools/dev set-up               set up only\
"""
PYTHON = VENV / "bin" / "python"


def main(arguments: Sequence[str]) -> int:
    """Run one verb; `run` and `test` end with the exit status of what they run."""
    match list(arguments):
        case ["run", *more]:
            become("toka", ["run", *(more or [os.path.relpath(ROOT / "examples" / "repo-audit")])])
        case ["test", *more]:
            os.chdir(ROOT)
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
    environment = dict(os.environ)  # what set-up adds is for uv alone
    set_up()
    path = str(VENV / "bin" / program)
    os.execve(path, [path, *arguments], environment)  # noqa: S606 - no shell is the point


def set_up() -> None:
    """Make the project's environment what the lock says; quick when it is already.

    Raises:
        Failure: a step failed.
    """
    began = time.monotonic()
    os.environ.pop("VIRTUAL_ENV", None)  # another project's, active in this terminal
    os.environ.update({**settings_of_pip(), "UV_PROJECT_ENVIRONMENT": str(VENV)})
    fresh = not (VENV / "bin" / "pytest").exists()
    program = ready_uv()
    if fresh:
        say("set-up: installing what uv.lock names")
    lock.complete()
    sync = [program, "sync", "--all-packages", "--locked", "--python", PYTHON]
    run(sync, quiet=not (fresh and sys.stderr.isatty()))
    if fresh:
        say(f"set-up: done in {time.monotonic() - began:.0f} s")


def ready_uv() -> Path:
    """Return a uv that works, and make sure that `.venv` does.

    Raises:
        Failure: the environment or uv cannot be installed.
    """
    if is_usable(PYTHON) and (program := uv.find()):
        return program
    say(f"set-up: making .venv for {sys.executable}")
    # Making it anew takes a uv inside it away.
    if program := uv.on_path():
        run([program, "venv", "--quiet", "--clear", "--python", sys.executable, VENV])
        return program
    say("set-up: putting uv into .venv")
    run([sys.executable, "-m", "venv", "--clear", VENV], quiet=True)
    run([PYTHON, "-m", "pip", "install", "--quiet", "uv"], quiet=True)
    return uv.path()


def is_usable(python: Path) -> bool:
    """Tell whether an interpreter starts and is recent enough."""
    try:
        output([python, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"])
    except Failure:
        return False
    return True


def settings_of_pip() -> dict[str, str]:
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
