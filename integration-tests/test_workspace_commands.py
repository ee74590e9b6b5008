"""The README's commands, in a fresh clone, on a machine that has no uv."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not (ROOT / ".git").exists():
        pytest.skip("this is not a clone, so there is nothing to clone")
    path = tmp_path_factory.mktemp("fresh") / "clone"
    git(ROOT, "clone", "--quiet", str(ROOT), str(path))
    return path


def git(folder: Path, *arguments: str) -> str:
    argv = ["git", *arguments]
    return subprocess.run(argv, cwd=folder, check=True, capture_output=True, text=True).stdout  # noqa: S603


def without_uv(tmp_path: Path) -> dict[str, str]:
    """The environment of this process, with only plain tools on the path."""
    folder = tmp_path / "bin"
    folder.mkdir(exist_ok=True)
    for program in ("git", "sh", "cc", "uname"):
        if found := shutil.which(program):
            (folder / program).unlink(missing_ok=True)
            (folder / program).symlink_to(found)
    return {**os.environ, "PATH": str(folder)}


def dev(clone: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Start tools/dev as a person does: with an interpreter of the system, in no environment."""
    python = Path(sys.base_prefix) / "bin" / "python3"
    return subprocess.run(  # noqa: S603
        [str(python), "tools/dev", *arguments],
        cwd=clone,
        env=without_uv(clone.parent),
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )


def test_the_test_command_sets_up_runs_and_leaves_no_trace(clone: Path) -> None:
    done = dev(clone, "test", "-q", "tools/tests/test_members.py")

    assert done.returncode == 0, done.stderr
    assert " passed" in done.stdout
    assert "set-up: putting uv into .venv" in done.stderr
    assert git(clone, "status", "--porcelain") == ""


def test_a_second_time_nothing_is_set_up(clone: Path) -> None:
    dev(clone, "set-up")

    done = dev(clone, "set-up")

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_exit_status_is_that_of_what_was_run(clone: Path) -> None:
    assert dev(clone, "test", "no-such-file.py").returncode == 4


def test_an_environment_that_was_spoilt_is_made_anew(clone: Path) -> None:
    dev(clone, "set-up")
    (clone / ".venv" / "bin" / "python").unlink()

    done = dev(clone, "test", "--version")

    assert done.returncode == 0, done.stderr
    assert "set-up: making .venv" in done.stderr
