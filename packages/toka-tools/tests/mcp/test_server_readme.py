from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"


def test_the_example_of_serving_tools_runs() -> None:
    pytest.importorskip("mcp", reason="the official SDK is not installed")
    section = README.read_text().partition("## Tools over the Model Context Protocol")[2]
    example = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert example is not None
    command = [sys.executable, "-W", "error", "-c", example[1]]
    done = subprocess.run(  # noqa: S603 - ours
        command, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
