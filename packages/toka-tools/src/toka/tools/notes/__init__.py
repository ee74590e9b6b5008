"""Notes that tools store and recall: where they are kept, in memory or in a file."""

from toka.tools.notes._file import FileNotes
from toka.tools.notes._memory import MemoryNotes
from toka.tools.notes._notes import Note, Notes

__all__ = ["FileNotes", "MemoryNotes", "Note", "Notes"]
