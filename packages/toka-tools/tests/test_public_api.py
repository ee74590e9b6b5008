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


def test_importing_loads_nothing_heavy() -> None:
    heavy = "aiohttp anyio asyncio importlib.metadata jsonschema regex subprocess yaml"
    code = f"import sys, toka.tools; print([m for m in {heavy.split()} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_listing_the_builtin_tools_loads_nothing_heavy() -> None:
    code = (
        "import sys; from toka.tools import ToolRegistry; print(ToolRegistry.builtin().names());"
        "print([m for m in ('aiohttp', 'anyio', 'jsonschema', 'regex', 'yaml') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names, loaded = done.stdout.splitlines()
    assert "'run_command'" in names
    assert loaded == "[]"
