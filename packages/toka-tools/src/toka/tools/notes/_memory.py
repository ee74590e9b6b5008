"""Notes for as long as the process lives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from toka.tools.notes._notes import MAX_NOTES, Note, full

if TYPE_CHECKING:
    from collections.abc import Sequence


@attrs.define(eq=False)
class MemoryNotes:
    """Keeps notes in this process."""

    most: int = MAX_NOTES
    _notes: dict[str, Note] = attrs.field(factory=dict[str, Note], init=False)

    async def store(self, note: Note) -> bool:
        """Keep a note in place of the one of its name; return whether there was none.

        Raises:
            NotesError: There is no room.
        """
        new = note.name not in self._notes
        if new and len(self._notes) >= self.most:
            raise full(self.most)
        self._notes[note.name] = note
        return new

    async def forget(self, name: str) -> bool:
        """Remove a note; return whether there was one."""
        return self._notes.pop(name, None) is not None

    async def recall(self, name: str) -> Note | None:
        """Return the note of a name, if there is one."""
        return self._notes.get(name)

    async def below(self, name: str) -> Sequence[str]:
        """Return the sorted names of the notes below a name, or of all if it is empty."""
        prefix = f"{name}/" if name else ""
        return sorted(known for known in self._notes if known.startswith(prefix))
