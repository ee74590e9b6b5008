"""How far a command is confined."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

import attrs


class SandboxLevel(StrEnum):
    """What stands around a command. Each has what the one before it has, and more."""

    NONE = "none"
    """Its own session and environment; its tree is ended with it."""
    LIMITS = "limits"
    """Limits on memory, files, processor time and processes; no new privileges."""
    LANDLOCK = "landlock"
    """Files only where a permission or the policy says so, no network unless granted, no look at
    other processes, none of the system calls that reach into the kernel."""
    NAMESPACES = "namespaces"
    """Its own processes, network and mounts: it does not see any others, and the kernel ends its
    tree."""

    @property
    def confines(self) -> bool:
        """Whether files and network are closed to it."""
        return self in (SandboxLevel.LANDLOCK, SandboxLevel.NAMESPACES)

    def at_least(self, other: SandboxLevel) -> SandboxLevel:
        """Return the stronger of two."""
        levels = list(SandboxLevel)
        return levels[max(levels.index(self), levels.index(other))]


def _absolute(paths: tuple[str | Path, ...]) -> tuple[Path, ...]:
    return tuple(Path(path).absolute() for path in paths)


@attrs.frozen
class SandboxPolicy:
    """What a command must be kept in. A machine that cannot prove it refuses to run any."""

    level: SandboxLevel = SandboxLevel.LIMITS
    readable: tuple[Path, ...] = attrs.field(default=(), converter=_absolute)
    """What any command may read and run beside the system's programs, such as a tool chain."""
