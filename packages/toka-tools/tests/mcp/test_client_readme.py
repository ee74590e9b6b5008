from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

from toka.tools.mcp.client import parse_servers

README = Path(__file__).parents[2] / "README.md"


def section() -> str:
    found = re.search(r"## Tools of other MCP servers\n(.*?)\n## ", README.read_text(), re.DOTALL)
    assert found is not None
    return found[1]


def block(kind: str) -> str:
    found = re.search(rf"```{kind}\n(.*?)```", section(), re.DOTALL)
    assert found is not None
    return found[1]


def test_the_example_runs() -> None:
    command = [sys.executable, "-W", "error", "-c", block("python")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    assert done.returncode == 0, done.stderr
    assert done.stdout == "HELLO\n['/description: changed']\n"


def test_the_file_is_understood() -> None:
    servers = parse_servers(tomllib.loads(block("toml")))
    assert servers["files"].effect_of("read_text_file") == "read_only"
    assert servers["files"].effect_of("write_file") == "external"
