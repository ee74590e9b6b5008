from __future__ import annotations

import ast
from pathlib import Path

import toka.tools.openapi


def test_all_lists_exactly_the_imported_names() -> None:
    tree = ast.parse(Path(toka.tools.openapi.__file__).read_text())
    imported = [
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    assert toka.tools.openapi.__all__ == sorted(imported)
    assert all(hasattr(toka.tools.openapi, name) for name in imported)
