from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import toka.tools


def test_all_lists_exactly_the_imported_names() -> None:
    tree = ast.parse(Path(toka.tools.__file__).read_text())
    imported = [
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    assert sorted(toka.tools.__all__) == sorted(imported)
    assert all(hasattr(toka.tools, name) for name in toka.tools.__all__)


HEAVY = "aiohttp anyio asyncio importlib.metadata jsonschema re2 subprocess yaml"


def loaded_by(code: str) -> str:
    code = f"import sys\n{code}\nprint([name for name in {HEAVY.split()} if name in sys.modules])"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - ours
    return done.stdout.strip()


def test_importing_loads_nothing_heavy() -> None:
    assert loaded_by("import toka.tools") == "[]"


def test_a_description_of_every_tool_loads_no_network_and_no_validator() -> None:
    code = "from toka.tools import *; [tool.parameters for tool in ToolRegistry.builtin()]"
    assert loaded_by(code) == "[]"
