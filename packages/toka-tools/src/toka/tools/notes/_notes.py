"""What keeps notes, whatever it keeps them in.

A note has a name such as `agents/ada/todo`. Names are paths so that permissions can tell agents
apart: `note:*:agents/ada/**` is a space of one's own, `note:read:shared/**` a look into another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import attrs

from toka.tools._errors import NotesError

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_NOTES: Final = 10_000
MAX_NOTE_BYTES: Final = 65_536


@attrs.frozen
class Note:
    """A text under a name."""

    name: str
    text: str
    stored_at: int
    """Nanoseconds since the Unix epoch."""


class Notes(Protocol):
    """Keeps notes; each operation is done or not, never in part."""

    async def store(self, note: Note) -> bool:
        """Keep a note in place of the one of its name; return whether there was none.

        Raises:
            NotesError: There is no room, or it cannot be written.
        """
        ...

    async def forget(self, name: str) -> bool:
        """Remove a note; return whether there was one.

        Raises:
            NotesError: It cannot be written.
        """
        ...

    async def recall(self, name: str) -> Note | None:
        """Return the note of a name, if there is one.

        Raises:
            NotesError: It cannot be read.
        """
        ...

    async def below(self, name: str) -> Sequence[str]:
        """Return the sorted names of the notes below a name, or of all if it is empty.

        Raises:
            NotesError: They cannot be read.
        """
        ...


def full(most: int) -> NotesError:
    """Return the error of storing one note too many."""
    return NotesError(f"There are {most} notes already.", hint="Forget one that is not needed.")
