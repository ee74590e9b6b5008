"""The paths of a manifest, as requests for a grant and as what its program is kept in.

A sandbox is made of files and whole directories, so `**/*.md` asks for the directory in which the
pattern begins. What opens is never more than the manifest names, and never more than is granted.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import attrs

from toka.capability.core import Permission
from toka.tools.files._paths import file_request, resolve

if TYPE_CHECKING:
    from collections.abc import Iterable

    from toka.tools._context import Workspace

_PATTERN: Final = re.compile(r"[*?\[]")


@attrs.frozen
class Places:
    """Real paths."""

    readable: tuple[str, ...]
    writable: tuple[str, ...]

    @classmethod
    def of(cls, readable: Iterable[str], writable: Iterable[str], workspace: Workspace) -> Places:
        """Return where the paths of a manifest lead in a workspace.

        Raises:
            PathDeniedError: One is of a form that is never accepted, or is protected.
        """
        return cls(_resolved(readable, workspace), _resolved(writable, workspace))

    @property
    def requests(self) -> tuple[str, ...]:
        """What has to be granted before the program runs."""
        reads = [file_request("read", path) for path in self.readable]
        writes = [file_request("write", path) for path in self.writable]
        return (*reads, *writes)

    def opened(self, granted: Iterable[Permission]) -> tuple[Permission, ...]:
        """Return what is both named here and granted."""
        held = [one for one in granted if one.domain == "fs"]
        reads = _both("read", (*self.readable, *self.writable), held)
        return (*reads, *_both("write", self.writable, held))


def fixed_part(pattern: str) -> str:
    """Return the path in which a pattern begins: of `docs/**/*.md` it is `docs`."""
    names: list[str] = []
    for name in pattern.split("/"):
        if _PATTERN.search(name):
            break
        names.append(name)
    return "/".join(names) or ("/" if pattern.startswith("/") else ".")


def _resolved(paths: Iterable[str], workspace: Workspace) -> tuple[str, ...]:
    return tuple(dict.fromkeys([resolve(fixed_part(path), workspace) for path in paths]))


def _both(action: str, paths: Iterable[str], held: Iterable[Permission]) -> Iterable[Permission]:
    for path in paths:
        request = Permission.parse(file_request(action, path))
        tree = Permission.parse(f"{request.text.rstrip('/')}/**")
        for one in held:
            if one.action not in (action, "*"):
                continue
            narrowed = Permission.parse(f"fs:{action}:{one.resource}")
            if narrowed.covers(tree):
                yield tree
            elif narrowed.covers(request):
                yield request
            elif tree.covers(narrowed):
                yield narrowed
