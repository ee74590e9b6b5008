from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import toka.tools.openapi
import toka.tools.secrets

if TYPE_CHECKING:
    from types import ModuleType


@pytest.mark.parametrize("module", [toka.tools.openapi, toka.tools.secrets])
def test_all_lists_exactly_the_imported_names(module: ModuleType) -> None:
    tree = ast.parse(Path(str(module.__file__)).read_text())
    imported = [
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    assert module.__all__ == sorted(imported)
    assert all(hasattr(module, name) for name in imported)
