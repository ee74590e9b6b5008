"""What the tests of the tools share: a directory, a grant, and a way to call."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from toka.capability.core import PermissionSet
from toka.tools import ToolContext, ToolRegistry, Workspace
from toka.types import NANOSECONDS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def registry() -> ToolRegistry:
    return ToolRegistry.builtin()


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    root = tmp_path / "w"
    root.mkdir()
    return Workspace(root)


@pytest.fixture
def context_for(workspace: Workspace) -> Callable[..., ToolContext]:
    """Return a maker of contexts; without permissions it grants the workspace."""

    def make(*permissions: str, **changes: object) -> ToolContext:
        granted = permissions or (f"fs:*:{workspace.root}/**",)
        values: dict[str, object] = {"timeout_ns": 20 * NANOSECONDS, **changes}
        return ToolContext(workspace, PermissionSet.parse(granted), **values)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - fields by name

    return make
