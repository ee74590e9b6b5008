from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from toka.tools import ToolRegistry

README = Path(__file__).parents[1] / "README.md"


def run_first_example(text: str) -> str:
    example = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert example is not None
    command = [sys.executable, "-W", "error", "-c", example[1]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_example_of_the_readme_runs() -> None:
    assert "fs:read:/etc/passwd" in run_first_example(README.read_text())


@pytest.mark.skipif(sys.platform != "linux", reason="the sandbox is Linux's")
def test_the_example_of_manifests_runs() -> None:
    run_first_example(README.read_text().partition("## Tools of manifests")[2])


def test_the_readme_lists_every_built_in_tool() -> None:
    text = README.read_text()
    assert [name for name in ToolRegistry.builtin().names() if f"`{name}`" not in text] == []
