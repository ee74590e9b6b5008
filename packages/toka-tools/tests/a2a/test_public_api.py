from __future__ import annotations

import ast
from pathlib import Path

import toka.tools.a2a


def test_all_lists_exactly_the_imported_names() -> None:
    module = toka.tools.a2a
    tree = ast.parse(Path(module.__file__).read_text())
    imported = [
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    assert module.__all__ == sorted(imported)
    assert all(hasattr(module, name) for name in imported)
