"""What a call is handed besides its arguments: where it works, what it may do, and how much."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - attrs resolves it
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import attrs

from toka.tools._resource_limits import ResourceLimits
from toka.tools.sandbox._level import SandboxPolicy
from toka.types import NANOSECONDS, Clock, SystemClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toka.capability.core import Permission
    from toka.tools._person import Person
    from toka.tools.notes._notes import Notes


class Grants(Protocol):
    """The permissions of the caller; a `PermissionSet` is one."""

    def covers(self, item: str, /) -> Permission | None:
        """Return a permission that grants a request such as `fs:read:/data/a.txt`, or None."""
        ...

    def __iter__(self) -> Iterator[Permission]:
        """Go through all of them: a sandbox is made of what they open."""
        ...


def _absolute(path: str | Path) -> Path:
    return Path(path).absolute()


def _absolute_or_none(path: str | Path | None) -> Path | None:
    return None if path is None else _absolute(path)


def _all_absolute(paths: tuple[str | Path, ...]) -> tuple[Path, ...]:
    return tuple(_absolute(path) for path in paths)


@attrs.frozen
class Workspace:
    """The directories of one agent."""

    root: Path = attrs.field(converter=_absolute)
    """Relative paths start here, and commands run here. Grants no access by itself."""
    scratch: Path | None = attrs.field(default=None, converter=_absolute_or_none)
    """Home and temporary directory of commands; without one they are told `/nonexistent`."""
    protected: tuple[Path, ...] = attrs.field(default=(), converter=_all_absolute)
    """No file tool touches anything here, whatever is granted: the event log and the keys."""
    notes: Path | None = attrs.field(default=None, converter=_absolute_or_none)
    """The file of its notes, if it keeps any."""


def _notes_of(context: ToolContext) -> Notes | None:
    if context.workspace.notes is None:
        return None
    from toka.tools.notes import FileNotes  # noqa: PLC0415 - it imports this distribution's face

    return FileNotes(context.workspace.notes)


@attrs.frozen
class ToolContext:
    """The conditions of one call."""

    workspace: Workspace
    granted: Grants
    """Checked again at the point of use: what a tool opens is what this covers."""
    idempotency_key: str = ""
    """The same for every attempt of one step, and for nothing else."""
    timeout_ns: int = 60 * NANOSECONDS
    output_limit_bytes: int = 4 << 20
    """Longer output is cut, and the result says so."""
    limits: ResourceLimits = attrs.field(factory=ResourceLimits)
    sandbox: SandboxPolicy = attrs.field(factory=SandboxPolicy)
    """What commands are kept in."""
    clock: Clock = attrs.field(factory=SystemClock)
    environment: Mapping[str, str] = attrs.field(factory=dict[str, str])
    """Variables that every command is given, such as the trace that the call belongs to."""
    person: Person | None = None
    """Whom `ask_person` asks."""
    notes: Notes | None = attrs.field(default=attrs.Factory(_notes_of, takes_self=True))
    """Where notes are kept; those of the workspace unless others are given."""
